/*
 * The grammar of qualified kernelspec names: `python3@gpu` is the kernelspec `python3` of the backend
 * `gpu`. The notebook server has the same grammar in Python.
 */

export interface IKernelspecName {
  /** The name that the backend itself uses; undefined means the backend's default kernelspec. */
  kernelspec: string | undefined;
  /** The name of the backend; undefined if the name is not qualified. */
  backend: string | undefined;
}

const SEPARATOR = '@'; // not allowed in Jupyter's own kernelspec names

/** Split a name at its last `@`. */
export function splitName(name: string): IKernelspecName {
  const at = name.lastIndexOf(SEPARATOR);
  return at < 0
    ? { kernelspec: name || undefined, backend: undefined }
    : { kernelspec: name.slice(0, at) || undefined, backend: name.slice(at + 1) };
}

/** The name of a kernelspec with the backend that has it. */
export function qualifyName(kernelspec: string, backend: string): string {
  return kernelspec + SEPARATOR + backend;
}

/** What users see for a kernelspec, where there are several backends. */
export function displayName(kernelspec: string, backend: string): string {
  return `${kernelspec} · ${backend}`;
}
