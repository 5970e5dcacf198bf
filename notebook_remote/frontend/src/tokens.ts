/* The services that our plugins share. This module has no side effects. */

import { Token } from '@lumino/coreutils';
import { ISignal } from '@lumino/signaling';

import type { BrowserGateways } from './browser/registry';
import type { Managers } from './services/managers';

/** Why channels do not go directly to the gateway: one of these, or a sentence of the server. */
export type FallbackReason =
  | 'insecure' // the page was loaded over https, the gateway has http only
  | 'policy' // the page's content security policy
  | 'local network' // the browser denies this site access to local networks
  | 'silent' // no answer to an HTTP request
  | 'refused' // the HTTP request failed
  | 'not opened' // HTTP works, the WebSocket failed
  | 'slow' // HTTP works, the WebSocket did not open in time
  | (string & {});

/** Which way the channels of a kernel connection go. */
export interface IRoute {
  backend: string;
  /** Directly to the gateway, or through the notebook server's relay. */
  kind: 'direct' | 'relay' | '';
  /** Why the channels go through the relay in direct mode; empty if they do not. */
  fallbackReason: FallbackReason;
  /** The number of attempts since the channels were last open. */
  attempt: number;
  /** The milliseconds that it took to open the channels. */
  openedIn: number;
  /** Where the gateway answers HTTP requests of this page; empty if there is no direct endpoint. */
  gateway: string;
}

export interface IRoutes {
  /** Emitted with the session id of a route that has changed. */
  readonly changed: ISignal<IRoutes, string>;
  /** The route of a kernel connection, by its session id (its client id in JupyterLab). */
  get(sessionId: string): IRoute | undefined;
  /** Try direct endpoints again with the next connection, even those that failed recently. */
  retryDirect(): void;
}

export const IRoutes = new Token<IRoutes>(
  'notebook-remote:IRoutes',
  'Which way the channels of each kernel connection go.'
);

/** What keeps this page from using the notebook server; empty if no problem is known. */
export type ConnectivityProblem = '' | 'logged out' | 'no websockets';

export interface IConnectivity {
  readonly problem: ConnectivityProblem;
  readonly changed: ISignal<IConnectivity, ConnectivityProblem>;
}

export const IConnectivity = new Token<IConnectivity>(
  'notebook-remote:IConnectivity',
  'Whether this page can use the notebook server.'
);

export const IBrowserGateways = new Token<BrowserGateways>(
  'notebook-remote:IBrowserGateways',
  'The gateways in browser mode, which only pages contact.'
);

export const IManagers = new Token<Managers>(
  'notebook-remote:IManagers',
  "Creates JupyterLab's managers of kernels, kernelspecs and sessions with clients of our own."
);
