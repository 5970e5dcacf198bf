/*
 * Whether this page can use the notebook server. To JupyterLab an expired login, and a proxy that
 * blocks WebSockets, look like a dead kernel. Here they are detected: requests of JupyterLab's
 * managers wait for the login, the user gets a notification, and once the problem is solved the
 * kernels are reconnected.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { ConnectivityProblem, IConnectivity } from '../tokens';
import { requestApi } from './api';

const UNAUTHORIZED = [401, 403];
// Milliseconds.
const CHECK_INTERVAL = 5000; // while there is a problem
const MAX_CHECK_INTERVAL = 30_000;
const WEBSOCKET_TIMEOUT = 10_000; // long, since browsers open one WebSocket at a time to a host
const WEBSOCKET_RECHECK_DELAY = 3000; // after a check in which WebSockets worked

export class Connectivity implements IConnectivity {
  constructor(private readonly _server: ServerConnection.ISettings) {
    this._poll = new Poll({
      auto: false,
      factory: async () => {
        if (await this._check()) {
          throw new Error(this._problem); // makes the poll back off
        }
      },
      frequency: { interval: CHECK_INTERVAL, backoff: 1.5, max: MAX_CHECK_INTERVAL },
      name: 'notebook-remote:connectivity',
      standby: 'when-hidden'
    });
    window.addEventListener('focus', () => this._problem && void this._poll.refresh());
  }

  get problem(): ConnectivityProblem {
    return this._problem;
  }

  get changed(): ISignal<this, ConnectivityProblem> {
    return this._changed;
  }

  /** The server's settings, with a `fetch` that waits while the user is logged out. */
  get settings(): ServerConnection.ISettings {
    return {
      ...this._server,
      fetch: (input: RequestInfo | URL, init?: RequestInit) => this._fetch(new Request(input, init))
    };
  }

  /** A WebSocket class whose failures to open trigger a check. */
  watchWebSockets(Socket: typeof WebSocket): typeof WebSocket {
    const onFailed = (): void => void this._onSocketFailed();
    function WatchedWebSocket(url: string | URL, protocols?: string | string[]) {
      const socket = new Socket(url, protocols);
      socket.addEventListener('open', () => socket.removeEventListener('close', onFailed));
      socket.addEventListener('close', onFailed, { once: true });
      return socket;
    }
    const { CONNECTING, OPEN, CLOSING, CLOSED } = Socket;
    const states = { CONNECTING, OPEN, CLOSING, CLOSED };
    return Object.assign(WatchedWebSocket, states) as unknown as typeof WebSocket;
  }

  private async _fetch(request: Request): Promise<Response> {
    for (;;) {
      await this._waitForLogin(request.signal);
      try {
        const response = await this._server.fetch.call(null, request.clone());
        const suspicious = UNAUTHORIZED.includes(response.status) || response.redirected;
        if (!suspicious || (await this._check()) !== 'logged out') {
          return response;
        }
      } catch (error) {
        // The request may have been redirected to another site for the login.
        if ((await this._check()) !== 'logged out') {
          throw error;
        }
      }
    }
  }

  /** Resolves when the user is logged in, or the request was aborted. */
  private async _waitForLogin(signal: AbortSignal): Promise<void> {
    while (this._problem === 'logged out' && !signal.aborted) {
      const changed = new PromiseDelegate<void>();
      const resolve = () => changed.resolve();
      this._changed.connect(resolve);
      signal.addEventListener('abort', resolve, { once: true });
      await changed.promise;
      this._changed.disconnect(resolve);
    }
  }

  private async _onSocketFailed(): Promise<void> {
    this._socketFailed ||= performance.now() > this._workedAt + WEBSOCKET_RECHECK_DELAY;
    if (this._socketFailed) {
      await this._check();
    }
  }

  /** Check now, or join the check that is in progress. */
  private _check(): Promise<ConnectivityProblem> {
    this._checking ??= this._findProblem().finally(() => (this._checking = null));
    return this._checking;
  }

  private async _findProblem(): Promise<ConnectivityProblem> {
    let problem: ConnectivityProblem = '';
    const loggedIn = await this._isLoggedIn();
    if (loggedIn === false) {
      problem = 'logged out';
    } else if (loggedIn && this._socketFailed && (await this._blocksWebSockets())) {
      problem = 'no websockets';
    } else if (loggedIn === null) {
      problem = this._problem; // the server does not answer: JupyterLab has a dialog for that
    } else if (loggedIn) {
      this._socketFailed = false;
      this._workedAt = performance.now();
    }
    this._setProblem(problem);
    return problem;
  }

  private _setProblem(problem: ConnectivityProblem): void {
    if (problem === this._problem) {
      return;
    }
    this._problem = problem;
    void (problem ? this._poll.start() : this._poll.stop());
    if (problem === 'no websockets') {
      // The server logs it.
      void requestApi(this._server, 'blocked-websockets', 'POST').catch(() => undefined);
    }
    this._changed.emit(problem);
  }

  /** Null if the server does not answer. */
  private async _isLoggedIn(): Promise<boolean | null> {
    const { baseUrl, token, fetch } = this._server;
    try {
      const response = await fetch(URLExt.join(baseUrl, 'api/me'), {
        cache: 'no-store',
        credentials: 'same-origin',
        redirect: 'manual', // a redirect leads to a login page
        headers: token ? { Authorization: `token ${token}` } : {}
      });
      const refused = UNAUTHORIZED.includes(response.status) || response.type === 'opaqueredirect';
      return response.ok || refused ? !refused : null;
    } catch {
      return null;
    }
  }

  /** Whether a WebSocket to the notebook server itself, with no gateway behind it, fails as well. */
  private async _blocksWebSockets(): Promise<boolean> {
    const { baseUrl, wsUrl, token, appendToken, fetch, WebSocket } = this._server;
    const route = 'api/events/subscribe';
    const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : '';
    const failed = await new Promise<boolean>(resolve => {
      const socket = new WebSocket(URLExt.join(wsUrl, route) + query);
      const finish = (failed: boolean) => {
        window.clearTimeout(timer);
        socket.onopen = socket.onclose = null;
        socket.close();
        resolve(failed);
      };
      const timer = window.setTimeout(() => finish(false), WEBSOCKET_TIMEOUT);
      socket.onopen = () => finish(false);
      socket.onclose = () => finish(true);
    });
    // A user without permission for events is refused there in any case.
    return failed && !UNAUTHORIZED.includes((await fetch(URLExt.join(baseUrl, route))).status);
  }

  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, ConnectivityProblem>(this);
  private _problem: ConnectivityProblem = '';
  private _checking: Promise<ConnectivityProblem> | null = null;
  private _socketFailed = false; // since WebSockets were last known to work
  private _workedAt = -Infinity;
}
