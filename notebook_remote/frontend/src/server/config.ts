/* The backends, as the notebook server lists them in the configuration of its pages. */

import { PageConfig } from '@jupyterlab/coreutils';
import { KernelSpec } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

export interface IBackend {
  name: string;
  /** The name that users see. */
  label: string;
  mode: 'local' | 'proxy' | 'direct' | 'browser';
}

/** A gateway in browser mode: only pages contact it. */
export interface IBrowserBackend extends IBackend {
  mode: 'browser';
  /** Addresses for HTTP requests and for WebSockets, without a slash at the end. */
  url: string;
  ws_url: string;
  /** Paths of the gateway's REST API, if they are not those of Jupyter. */
  kernels_endpoint?: string;
  kernelspecs_endpoint?: string;
  /** The scope of a pass: what the pages of this notebook server share at the gateway. */
  scope: string;
  /** Whether pages may use the token itself at a gateway that issues no passes. */
  insecure_token: boolean;
  /** Environment variables for each kernel. */
  env: Record<string, string>;
}

const OPTION = 'notebookRemote';
const EMBEDDED = 'embedded'; // a reserved name

const changed = new Signal<object, void>({});

/** Emitted when a backend was added, changed or removed while the page is open. */
export const backendsChanged: ISignal<object, void> = changed;

/** All backends; none if the server does not list any. */
export function backends(): IBackend[] {
  const option = PageConfig.getOption(OPTION);
  const { backends = [] } = option ? (JSON.parse(option) as { backends?: IBackend[] }) : {};
  return backends;
}

/** All backends except this computer. */
export function gateways(): IBackend[] {
  return backends().filter(({ mode }) => mode !== 'local');
}

/** The gateways in browser mode. */
export function browserBackends(): IBrowserBackend[] {
  return backends()
    .filter((backend): backend is IBrowserBackend => backend.mode === 'browser')
    .map(({ url, ws_url, ...rest }) => ({
      ...rest,
      url: normalizeUrl(url),
      ws_url: normalizeUrl(ws_url)
    }));
}

/** The name that users see for a backend. */
export function backendLabel(name: string): string {
  return backends().find(backend => backend.name === name)?.label ?? name;
}

/** The backend of a kernelspec; with several backends, the kernelspec's metadata names it. */
export function backendOfKernelspec(
  kernelspec: string,
  specs: KernelSpec.ISpecModels | null
): IBackend | undefined {
  const all = backends();
  const metadata = specs?.kernelspecs[kernelspec]?.metadata?.['notebook_remote'] as
    { backend?: string } | undefined;
  return all.length === 1 ? all[0] : all.find(({ name }) => name === metadata?.backend);
}

/** Whether the notebook server runs an embedded gateway. */
export function hasEmbeddedGateway(): boolean {
  return backends().some(({ name }) => name === EMBEDDED);
}

/** Whether the notebook server itself serves kernels: not if all backends are in browser mode. */
export function serverHasKernels(): boolean {
  return backends().some(({ mode }) => mode !== 'browser');
}

/** Replace the list of backends. What the server told of a known one when the page loaded stays. */
export function updateBackends(current: IBackend[]): void {
  const previous = backends();
  const updated = current.map(
    ({ name, label, mode }) => previous.find(b => b.name === name) ?? { name, label, mode }
  );
  PageConfig.setOption(OPTION, JSON.stringify({ backends: updated }));
  changed.emit();
}

/** A URL as browsers send it: no `..`, no default port, ASCII only; without a slash at the end. */
function normalizeUrl(url: string): string {
  return new URL(url).href.replace(/\/+$/, '');
}
