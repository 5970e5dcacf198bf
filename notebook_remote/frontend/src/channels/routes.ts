/*
 * Which way the channels of each kernel connection go: directly to a gateway, or through the
 * notebook server's relay. The sockets note it here, the indicator shows it.
 */

import { Token } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

/** Why a place was not taken: one of these, or a sentence of the server. */
export type Why =
  'insecure' | 'policy' | 'local network' | 'silent' | 'refused' | 'not opened' | 'slow' | string;

export interface IRoute {
  backend: string;
  kind: 'direct' | 'relay' | '';
  /** Why the channels do not go directly where they should; empty if they do. */
  why: Why;
  /** Attempts since the channels were last open. */
  attempt: number;
  /** Milliseconds that opening took. */
  took: number;
  /** Where the gateway should answer HTTP requests of this page; empty if there is no direct way. */
  gateway: string;
}

export interface IRoutes {
  /** Emitted with the session id of a route that has changed. */
  readonly changed: ISignal<IRoutes, string>;
  /** The route of a kernel connection, by its session id (its client id in JupyterLab). */
  get(sessionId: string): IRoute | undefined;
  /** Let the next connections try the direct way again at once. */
  retryDirect(): void;
}

export const IRoutes = new Token<IRoutes>(
  'notebook-remote:IRoutes',
  'Which way the channels of each kernel go.'
);

const AVOIDED_FOR = 60_000; // milliseconds without a new try of a gateway that was not reached
const NEW: IRoute = {
  backend: '',
  kind: '',
  why: '',
  attempt: 0,
  took: 0,
  gateway: ''
};

export class Routes implements IRoutes {
  get changed(): ISignal<IRoutes, string> {
    return this._changed;
  }

  get(sessionId: string): IRoute | undefined {
    return this._routes.get(sessionId);
  }

  update(sessionId: string, change: Partial<IRoute>): void {
    this._routes.set(sessionId, { ...(this.get(sessionId) ?? NEW), ...change });
    this._changed.emit(sessionId);
  }

  forget(sessionId: string): void {
    this._routes.delete(sessionId);
    this._changed.emit(sessionId);
  }

  /** Why a gateway is not tried for the time being; empty if it may be tried. */
  avoided(origin: string): Why {
    const { why, until } = this._avoided.get(origin) ?? { why: '', until: 0 };
    return performance.now() < until ? why : '';
  }

  avoid(origin: string, why: Why): void {
    this._avoided.set(origin, { why, until: performance.now() + AVOIDED_FOR });
  }

  retryDirect(): void {
    this._avoided.clear();
  }

  private readonly _changed = new Signal<IRoutes, string>(this);
  private readonly _routes = new Map<string, IRoute>();
  private readonly _avoided = new Map<string, { why: Why; until: number }>();
}
