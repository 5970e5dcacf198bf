/* What the server tells its pages about its backends, in the page's configuration. */

import { PageConfig } from '@jupyterlab/coreutils';
import { KernelSpec } from '@jupyterlab/services';

export interface IBackend {
  name: string;
  /** What people call it. */
  label: string;
  mode: 'local' | 'proxy' | 'direct' | 'browser';
}

/** A gateway that the page deals with by itself. */
export interface IBrowserBackend extends IBackend {
  mode: 'browser';
  /** Where it answers HTTP requests, and WebSockets; without a slash at the end. */
  url: string;
  ws_url: string;
  /** What the pages of this notebook server share there. */
  scope: string;
  /** Whether the token itself may be used where there are no passes. */
  insecure_token: boolean;
  /** Variables for the environment of each kernel. */
  env: Record<string, string>;
}

/** All backends; none if the server says nothing. */
export function backends(): IBackend[] {
  const option = PageConfig.getOption('notebookRemote');
  const { backends = [] } = option ? (JSON.parse(option) as { backends?: IBackend[] }) : {};
  return backends;
}

/** What people call a backend of this name. */
export function labelOf(name: string): string {
  return backends().find(backend => backend.name === name)?.label ?? name;
}

/** The gateways among them. */
export function gateways(): IBackend[] {
  return backends().filter(({ mode }) => mode !== 'local');
}

/** Note which backends there are now: they may be added and removed while the page is open. */
export function noteBackends(now: IBackend[]): void {
  const before = backends();
  const told = now.map(
    ({ name, label, mode }) => before.find(b => b.name === name) ?? { name, label, mode }
  );
  PageConfig.setOption('notebookRemote', JSON.stringify({ backends: told }));
}

/** The backend of a kernelspec. If there are several, the server says it in the metadata. */
export function backendOf(
  kernelspec: string,
  specs: KernelSpec.ISpecModels | null
): IBackend | undefined {
  const all = backends();
  const told = specs?.kernelspecs[kernelspec]?.metadata?.['notebook_remote'] as
    { backend?: string } | undefined;
  return all.length === 1 ? all[0] : all.find(({ name }) => name === told?.backend);
}

/** The gateways that are used in browser mode. */
export function browserBackends(): IBrowserBackend[] {
  return backends()
    .filter((backend): backend is IBrowserBackend => backend.mode === 'browser')
    .map(({ url, ws_url, ...more }) => ({ ...more, url: asSent(url), ws_url: asSent(ws_url) }));
}

/** An address as browsers send it: no `..`, no standard port, no letters but those of ASCII. */
function asSent(url: string): string {
  return new URL(url).href.replace(/\/+$/, '');
}

/** Whether the notebook server starts a gateway on its computer. */
export function startsHere(): boolean {
  return backends().some(({ name }) => name === 'embedded'); // which no other may be called
}

/** Whether there are kernels with which the notebook server deals. */
export function servedHere(): boolean {
  return backends().some(({ mode }) => mode !== 'browser');
}
