/* What the server tells its pages about its backends, in the page's configuration. */

import { PageConfig } from '@jupyterlab/coreutils';

export interface IBackend {
  name: string;
  mode: 'local' | 'proxy' | 'direct' | 'browser';
}

/** The gateways among the backends; none in local mode, or if the server says nothing. */
export function gateways(): IBackend[] {
  const option = PageConfig.getOption('notebookRemote');
  const { backends = [] } = option ? (JSON.parse(option) as { backends?: IBackend[] }) : {};
  return backends.filter(({ mode }) => mode !== 'local');
}
