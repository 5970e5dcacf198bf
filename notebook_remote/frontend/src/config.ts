/* What the server tells its pages about its backends, in the page's configuration. */

import { PageConfig } from '@jupyterlab/coreutils';

export interface IBackend {
  name: string;
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

/** The gateways among the backends; none in local mode, or if the server says nothing. */
export function gateways(): IBackend[] {
  const option = PageConfig.getOption('notebookRemote');
  const { backends = [] } = option ? (JSON.parse(option) as { backends?: IBackend[] }) : {};
  return backends.filter(({ mode }) => mode !== 'local');
}

/** The gateway that is used in browser mode, if one is. */
export function browserBackend(): IBrowserBackend | undefined {
  return gateways().find((backend): backend is IBrowserBackend => backend.mode === 'browser');
}
