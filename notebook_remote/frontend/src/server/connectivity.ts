/*
 * Whether this page gets through to the notebook server. A login that has expired, and a proxy that
 * passes on no WebSockets, look to JupyterLab like a kernel that has died. Here they are told apart
 * from that: requests of managers wait, their user is told what is wrong, and when it is mended
 * the kernels are connected again.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { PromiseDelegate, Token } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { ask } from './api';

/** What is in the way; empty if nothing is, as far as is known. */
export type Obstacle = '' | 'logged out' | 'no websockets';

export interface IReach {
  readonly obstacle: Obstacle;
  readonly changed: ISignal<IReach, Obstacle>;
}

export const IReach = new Token<IReach>(
  'notebook-remote:IReach',
  'Whether this page gets through to the notebook server.'
);

const REFUSED = [401, 403];
// Milliseconds.
const LOOK_EVERY = 5000; // while something is in the way
const LOOK_AT_LEAST_EVERY = 30_000;
const SILENT_AFTER = 10_000; // browsers open one WebSocket at a time to a host
const WELL_FOR = 3000; // after a look that found nothing in the way of WebSockets

export class Reach implements IReach {
  constructor(private readonly _server: ServerConnection.ISettings) {
    this._poll = new Poll({
      auto: false,
      factory: async () => {
        if (await this._lookOnce()) {
          throw new Error(this._obstacle); // the next look is a little later
        }
      },
      frequency: { interval: LOOK_EVERY, backoff: 1.5, max: LOOK_AT_LEAST_EVERY },
      name: 'notebook-remote:reach',
      standby: 'when-hidden'
    });
    window.addEventListener('focus', () => this._obstacle && void this._poll.refresh());
  }

  get obstacle(): Obstacle {
    return this._obstacle;
  }

  get changed(): ISignal<this, Obstacle> {
    return this._changed;
  }

  /** Settings by which a request waits while the user is logged out, instead of being refused. */
  get settings(): ServerConnection.ISettings {
    return {
      ...this._server,
      fetch: (input: RequestInfo | URL, init?: RequestInit) => this._fetch(new Request(input, init))
    };
  }

  /** The same sockets; when one does not open it is found out what is in the way. */
  watch(Socket: typeof WebSocket): typeof WebSocket {
    const onFailed = (): void => void this._onSocketFailed();
    function Watched(url: string | URL, protocols?: string | string[]) {
      const socket = new Socket(url, protocols);
      socket.addEventListener('open', () => socket.removeEventListener('close', onFailed));
      socket.addEventListener('close', onFailed, { once: true });
      return socket;
    }
    const { CONNECTING, OPEN, CLOSING, CLOSED } = Socket;
    const states = { CONNECTING, OPEN, CLOSING, CLOSED };
    return Object.assign(Watched, states) as unknown as typeof WebSocket;
  }

  private async _fetch(request: Request): Promise<Response> {
    for (;;) {
      await this._loggedInAgain(request.signal);
      try {
        const response = await this._server.fetch.call(null, request.clone());
        const suspect = REFUSED.includes(response.status) || response.redirected;
        if (!suspect || (await this._lookOnce()) !== 'logged out') {
          return response;
        }
      } catch (error) {
        // It may have been sent to another site for logging in.
        if ((await this._lookOnce()) !== 'logged out') {
          throw error;
        }
      }
    }
  }

  /** Resolves when the user is not logged out, or a request is not wanted any more. */
  private async _loggedInAgain(signal: AbortSignal): Promise<void> {
    while (this._obstacle === 'logged out' && !signal.aborted) {
      const changed = new PromiseDelegate<void>();
      const resolve = () => changed.resolve();
      this._changed.connect(resolve);
      signal.addEventListener('abort', resolve, { once: true });
      await changed.promise;
      this._changed.disconnect(resolve);
    }
  }

  private async _onSocketFailed(): Promise<void> {
    this._socketFailed ||= performance.now() > this._well + WELL_FOR;
    if (this._socketFailed) {
      await this._lookOnce();
    }
  }

  private _lookOnce(): Promise<Obstacle> {
    this._looking ??= this._look().finally(() => (this._looking = null));
    return this._looking;
  }

  private async _look(): Promise<Obstacle> {
    let obstacle: Obstacle = '';
    const known = await this._loggedIn();
    if (known === false) {
      obstacle = 'logged out';
    } else if (known && this._socketFailed && (await this._blocksWebSockets())) {
      obstacle = 'no websockets';
    } else if (known === null) {
      obstacle = this._obstacle; // nobody answers, for which the page has a dialog
    } else if (known) {
      this._socketFailed = false;
      this._well = performance.now();
    }
    this._note(obstacle);
    return obstacle;
  }

  private _note(obstacle: Obstacle): void {
    if (obstacle === this._obstacle) {
      return;
    }
    this._obstacle = obstacle;
    void (obstacle ? this._poll.start() : this._poll.stop());
    if (obstacle === 'no websockets') {
      void ask(this._server, 'blocked-websockets', 'POST').catch(() => undefined); // for its log
    }
    this._changed.emit(obstacle);
  }

  /** Null if the server does not say. */
  private async _loggedIn(): Promise<boolean | null> {
    const { baseUrl, token, fetch } = this._server;
    try {
      const response = await fetch(URLExt.join(baseUrl, 'api/me'), {
        cache: 'no-store',
        credentials: 'same-origin',
        redirect: 'manual', // to a page for logging in
        headers: token ? { Authorization: `token ${token}` } : {}
      });
      const refused = REFUSED.includes(response.status) || response.type === 'opaqueredirect';
      return response.ok || refused ? !refused : null;
    } catch {
      return null;
    }
  }

  /** Whether a WebSocket that ends at the notebook server, and at no gateway, fails too. */
  private async _blocksWebSockets(): Promise<boolean> {
    const { baseUrl, wsUrl, token, appendToken, fetch, WebSocket } = this._server;
    const route = 'api/events/subscribe';
    const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : '';
    const fails = await new Promise<boolean>(resolve => {
      const socket = new WebSocket(URLExt.join(wsUrl, route) + query);
      const finish = (failed: boolean) => {
        window.clearTimeout(timer);
        socket.onopen = socket.onclose = null;
        socket.close();
        resolve(failed);
      };
      const timer = window.setTimeout(() => finish(false), SILENT_AFTER);
      socket.onopen = () => finish(false);
      socket.onclose = () => finish(true);
    });
    // Who may not see events is refused there in any case.
    return fails && !REFUSED.includes((await fetch(URLExt.join(baseUrl, route))).status);
  }

  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, Obstacle>(this);
  private _obstacle: Obstacle = '';
  private _looking: Promise<Obstacle> | null = null;
  private _socketFailed = false; // since one was last seen to work
  private _well = -Infinity;
}
