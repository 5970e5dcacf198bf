/* The status of a kernel's connection: a few words for the toolbar. */

import { Kernel } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { connectivityLabel } from '../server/connectivityAdvice';
import { IBackend } from '../server/config';
import { ILink } from '../server/links';
import { ConnectivityProblem, IRoute } from '../tokens';

const SHOW_SECONDS_AFTER = 2; // seconds of connecting

/** Everything that the page knows about a kernel's connection. */
export interface IConnectionInfo {
  backend: IBackend;
  status: Kernel.ConnectionStatus;
  connectivityProblem: ConnectivityProblem;
  /** When the connection was lost; null if it is open, or never was. */
  lostAt: Date | null;
  /** Seconds that connecting takes so far, if the connection was never open. */
  connectingFor: number;
  route?: IRoute;
  link?: ILink;
}

export interface IStatus {
  level: 'good' | 'warn' | 'busy' | 'lost';
  /** Which way the channels go; empty for the normal way, and while it is not known. */
  mode: string;
  state: string;
}

/** Whether the channels go through the notebook server although the mode is direct. */
export function isFallback({ backend, status, route }: IConnectionInfo): boolean {
  return backend.mode === 'direct' && status === 'connected' && route?.kind === 'relay';
}

/** Whether the connection is open but the gateway does not even answer pings. */
export function isSilent({ status, link }: IConnectionInfo): boolean {
  return status === 'connected' && link?.state === 'silent';
}

export function statusOf(connection: IConnectionInfo, trans: TranslationBundle): IStatus {
  return {
    level: levelOf(connection),
    mode: modeOf(connection, trans),
    state: stateOf(connection, trans)
  };
}

function levelOf(connection: IConnectionInfo): IStatus['level'] {
  const { status, lostAt, connectivityProblem } = connection;
  if (status === 'connected') {
    return isFallback(connection) || isSilent(connection) ? 'warn' : 'good';
  }
  return connectivityProblem || status === 'disconnected' || lostAt !== null ? 'lost' : 'busy';
}

function modeOf(connection: IConnectionInfo, trans: TranslationBundle): string {
  const { backend, status, route } = connection;
  if (backend.mode === 'browser') {
    return trans.__('browser');
  }
  if (isFallback(connection)) {
    return trans.__('not direct');
  }
  return status === 'connected' && route?.kind === 'direct' ? trans.__('direct') : '';
}

function stateOf(connection: IConnectionInfo, trans: TranslationBundle): string {
  const { status, connectivityProblem, lostAt, connectingFor } = connection;
  if (status === 'connected') {
    return isSilent(connection) ? trans.__('not answering') : trans.__('connected');
  }
  if (connectivityProblem) {
    return connectivityLabel(connectivityProblem, trans);
  }
  if (lostAt !== null) {
    return trans.__('connection lost at %1', lostAt.toLocaleTimeString());
  }
  if (status === 'disconnected') {
    return trans.__('not connected');
  }
  return connectingFor < SHOW_SECONDS_AFTER
    ? trans.__('connecting')
    : trans.__('connecting, %1 s', Math.floor(connectingFor));
}

/** Seconds as text, in milliseconds. */
export function formatDuration(seconds: number): string {
  const milliseconds = 1000 * seconds;
  const digits = milliseconds < 10 ? 1 : 0;
  return `${milliseconds.toFixed(digits)} ms`;
}
