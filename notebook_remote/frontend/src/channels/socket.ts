/*
 * What JupyterLab takes for the WebSocket of a kernel's channels.
 *
 * A WebSocket is told its address when it is made. Here the address, and a ticket, are asked for
 * first, on every connection anew; then this passes on what the native socket says and does.
 */

import { ServerConnection } from '@jupyterlab/services';

import { AskForPlaces, openChannels } from './connect';
import { ITarget, target } from './endpoints';
import { Routes } from './routes';

const EVENTS = ['open', 'message', 'error', 'close'] as const;
const ABNORMAL = 1006; // the close code of a WebSocket that could not be opened

export class ChannelsSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  onopen: ((event: Event) => unknown) | null = null;
  onmessage: ((event: MessageEvent) => unknown) | null = null;
  onerror: ((event: Event) => unknown) | null = null;
  onclose: ((event: CloseEvent) => unknown) | null = null;

  constructor(
    private readonly _target: ITarget,
    protocols: string | string[],
    private readonly _routes: Routes,
    ask: AskForPlaces
  ) {
    super();
    for (const type of EVENTS) {
      this.addEventListener(type, event => {
        (this[`on${type}`] as ((event: Event) => unknown) | null)?.call(this, event);
      });
    }
    openChannels(_target, [protocols].flat(), _routes, ask, this._abort).then(
      socket => this._use(socket),
      () => this._end(ABNORMAL, '', false)
    );
  }

  get url(): string {
    return this._target.url; // the one that was asked for: there is no ticket in it
  }

  get protocol(): string {
    return this._socket?.protocol ?? '';
  }

  get extensions(): string {
    return this._socket?.extensions ?? '';
  }

  get readyState(): number {
    return this._socket?.readyState ?? this._state;
  }

  get bufferedAmount(): number {
    return this._socket?.bufferedAmount ?? 0;
  }

  get binaryType(): BinaryType {
    return this._binaryType;
  }

  set binaryType(type: BinaryType) {
    this._binaryType = type;
    if (this._socket) {
      this._socket.binaryType = type;
    }
  }

  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob): void {
    if (this._socket) {
      this._socket.send(data);
    } else if (this._state === this.CONNECTING) {
      throw new DOMException('Still in CONNECTING state.', 'InvalidStateError');
    }
  }

  close(code?: number, reason?: string): void {
    if (this.readyState <= this.OPEN) {
      this._routes.forget(this._target.sessionId);
    }
    this._abort.abort();
    if (this._socket) {
      this._socket.close(code, reason);
    } else if (this._state === this.CONNECTING) {
      this._state = this.CLOSING;
    }
  }

  private _use(socket: WebSocket): void {
    if (this._abort.signal.aborted) {
      socket.close(); // it opened in the moment when it was no longer wanted
      this._end(ABNORMAL, '', false);
      return;
    }
    this._socket = socket;
    socket.binaryType = this._binaryType;
    socket.onmessage = ({ data, origin }) =>
      this.dispatchEvent(new MessageEvent('message', { data, origin }));
    socket.onerror = () => this.dispatchEvent(new Event('error'));
    socket.onclose = ({ code, reason, wasClean }) => this._end(code, reason, wasClean);
    this.dispatchEvent(new Event('open'));
  }

  private _end(code: number, reason: string, wasClean: boolean): void {
    this._state = this.CLOSED;
    if (!this._socket) {
      this.dispatchEvent(new Event('error'));
    }
    this.dispatchEvent(new CloseEvent('close', { code, reason, wasClean }));
  }

  private readonly _abort = new AbortController();
  private _binaryType: BinaryType = 'blob';
  private _socket: WebSocket | null = null;
  private _state = 0; // while there is no native socket
}

/** What stands in for the WebSocket class in the kernel manager's settings. */
export function channelsSocketClass(
  routes: Routes,
  settings: ServerConnection.ISettings,
  ask: AskForPlaces
): typeof WebSocket {
  // A function that is called with `new` and returns an object: which class that is of depends on
  // the address.
  function ChannelsOrOther(url: string | URL, protocols: string | string[] = []) {
    const channels = target(url);
    return channels
      ? new ChannelsSocket(channels, protocols, routes, ask)
      : new settings.WebSocket(url, protocols);
  }
  const { CONNECTING, OPEN, CLOSING, CLOSED } = ChannelsSocket;
  return Object.assign(ChannelsOrOther, {
    CONNECTING,
    OPEN,
    CLOSING,
    CLOSED
  }) as unknown as typeof WebSocket;
}
