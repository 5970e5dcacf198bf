/*
 * Placeholders for lists while the embedded gateway starts, which may take longer than loading the list of
 * files. That page does not wait: its New menu offers a kernelspec that the embedded gateway has in
 * any case, and the tab that is opened for it shows the start.
 */

import { KernelSpec } from '@jupyterlab/services';

import { qualifyName } from '../kernelspecNames';
import { backends } from '../server/config';

const PLACEHOLDER_DELAY = 1000; // milliseconds

/** The kernelspecs of an embedded gateway that has not started yet. */
export function placeholderKernelspecs(): KernelSpec.ISpecModels {
  const name = backends().length > 1 ? qualifyName('python3', 'embedded') : 'python3';
  const display_name = 'Python 3 (starting…)';
  const spec = { name, display_name, language: 'python', argv: [], resources: {} };
  return { default: name, kernelspecs: { [name]: spec } };
}

/**
 * A request for a list whose first result is a placeholder if the response takes long; `onLoaded` is
 * called when the response is there. Until then the request is not repeated, since browsers allow only six
 * requests to a server at a time.
 */
export function withPlaceholder<T>(
  request: () => Promise<T>,
  placeholder: T,
  onLoaded: () => Promise<void>
): () => Promise<T> {
  let first: Promise<T> | null = null;
  let settled = false;
  return async () => {
    if (first) {
      return settled ? request() : first;
    }
    first = request();
    const settling = first.then(
      () => (settled = true),
      () => (settled = true)
    );
    const timeout = new Promise<null>(resolve => setTimeout(resolve, PLACEHOLDER_DELAY, null));
    const result = await Promise.race([first, timeout]);
    if (result === null) {
      void settling.then(onLoaded).catch(() => undefined);
    }
    return result ?? placeholder;
  };
}
