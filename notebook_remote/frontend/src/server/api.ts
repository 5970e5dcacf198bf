/* A client of the notebook server's REST API below `notebook-remote/api`. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { IBackend } from './config';

export interface IBackendModel extends IBackend {
  url: string;
  kind: string;
  /** Always unknown in browser mode, where the server does not contact the gateway. */
  state: 'up' | 'down' | 'unknown';
  error: string | null;
  features: string[];
  /** The number of this server's kernels on it. */
  kernels: number;
  /** Whether users added it, and may remove it. */
  added: boolean;
}

export interface IKernelModel {
  id: string;
  name: string;
  backend: string;
  execution_state: string;
  on_exit: 'keep' | 'shutdown';
  can_be_kept: boolean;
  sessions: { id: string; path: string }[];
}

/** A kernel that is being started. */
export interface IKernelStart {
  id: string;
  backend: string;
  document: string | null;
  state: 'starting' | 'waiting';
  seconds: number;
}

export interface IKernelList {
  kernels: IKernelModel[];
  starts: IKernelStart[];
}

/** The result of one check of a gateway. */
export interface IFinding {
  name: string;
  verdict: 'pass' | 'warn' | 'fail' | 'skip';
  text: string;
  next_step: string;
}

/** The query of requests without a user behind them, so that they do not keep an idle server alive. */
export const NO_TRACK_ACTIVITY = '?no_track_activity=1';

/** Send a request; resolves with the JSON of the response, rejects with the server's error message. */
export async function requestApi<T>(
  settings: ServerConnection.ISettings,
  path: string,
  method = 'GET',
  body?: object,
  signal?: AbortSignal
): Promise<T> {
  const url = URLExt.join(settings.baseUrl, 'notebook-remote/api', path);
  const init = { method, signal, ...(body && { body: JSON.stringify(body) }) };
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    throw await ServerConnection.ResponseError.create(response);
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}
