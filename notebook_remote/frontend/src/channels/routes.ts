/* The route of each kernel connection, and which gateways failed recently as direct endpoints. */

import { ISignal, Signal } from '@lumino/signaling';

import { FallbackReason, IRoute, IRoutes } from '../tokens';

const RETRY_DIRECT_AFTER = 60_000; // milliseconds after a direct endpoint failed

const NEW_ROUTE: IRoute = {
  backend: '',
  kind: '',
  fallbackReason: '',
  attempt: 0,
  openedIn: 0,
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
    this._routes.set(sessionId, { ...(this.get(sessionId) ?? NEW_ROUTE), ...change });
    this._changed.emit(sessionId);
  }

  delete(sessionId: string): void {
    this._routes.delete(sessionId);
    this._changed.emit(sessionId);
  }

  /** Do not try a gateway as a direct endpoint for a while. */
  recordFailure(gateway: string, reason: FallbackReason): void {
    this._failures.set(gateway, { reason, until: performance.now() + RETRY_DIRECT_AFTER });
  }

  /** Why a gateway failed recently; empty if it may be tried. */
  recentFailure(gateway: string): FallbackReason {
    const { reason, until } = this._failures.get(gateway) ?? { reason: '', until: 0 };
    return performance.now() < until ? reason : '';
  }

  retryDirect(): void {
    this._failures.clear();
  }

  private readonly _changed = new Signal<IRoutes, string>(this);
  private readonly _routes = new Map<string, IRoute>();
  private readonly _failures = new Map<string, { reason: FallbackReason; until: number }>();
}
