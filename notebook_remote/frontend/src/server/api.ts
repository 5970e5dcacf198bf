/* The notebook server's own REST API: backends, our kernels on all of them, links. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { IBackend } from './config';

export interface IBackendState extends IBackend {
  url: string;
  kind: string;
  /** Unknown to the server in browser mode. */
  state: 'up' | 'down' | 'unknown';
  error: string | null;
  features: string[];
  /** How many kernels of this server are on it. */
  kernels: number;
  /** Whether it has a name, and can be removed. */
  added: boolean;
}

export interface IOurKernel {
  id: string;
  name: string;
  backend: string;
  execution_state: string;
  on_exit: 'keep' | 'shutdown';
  can_be_kept: boolean;
  sessions: { id: string; path: string }[];
}

export interface IStart {
  id: string;
  backend: string;
  document: string | null;
  state: 'starting' | 'waiting';
  seconds: number;
}

export interface IOurKernels {
  kernels: IOurKernel[];
  starts: IStart[];
}

/** One line of an examination. */
export interface IFinding {
  name: string;
  verdict: 'pass' | 'warn' | 'fail' | 'skip';
  text: string;
  next_step: string;
}

/** Ask for something below notebook-remote/api. Rejects with the server's sentence. */
export async function ask<T>(
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

/** Sent with what is no sign of a user, so that it does not keep a server alive. */
export const NO_ACTIVITY = '?no_track_activity=1';
