/*
 * A WebSocket for JupyterLab whose address is not known yet.
 *
 * A native WebSocket needs its address when it is created. The endpoint of a kernel's channels, with a
 * ticket, has to be requested first, for each connection. So this class behaves like a WebSocket that is
 * connecting, and then forwards the events and the methods of the native one.
 */

import { ServerConnection } from '@jupyterlab/services';

import { connectChannels, FindEndpoints } from './connect';
import { IKernelChannels, parseChannelsUrl } from './endpoints';
import { Routes } from './routes';

const EVENTS = ['open', 'message', 'error', 'close'] as const;
const ABNORMAL_CLOSURE = 1006; // the close code of a WebSocket that could not be opened

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
    private readonly _channels: IKernelChannels,
    protocols: string | string[],
    private readonly _routes: Routes,
    findEndpoints: FindEndpoints
  ) {
    super();
    for (const type of EVENTS) {
      this.addEventListener(type, event => {
        (this[`on${type}`] as ((event: Event) => unknown) | null)?.call(this, event);
      });
    }
    connectChannels(_channels, [protocols].flat(), _routes, findEndpoints, this._abort).then(
      socket => this._onOpen(socket),
      () => this._onClose(ABNORMAL_CLOSURE, '', false)
    );
  }

  get url(): string {
    return this._channels.url; // the one that JupyterLab uses: it has no ticket in it
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
      this._routes.delete(this._channels.sessionId);
    }
    this._abort.abort();
    if (this._socket) {
      this._socket.close(code, reason);
    } else if (this._state === this.CONNECTING) {
      this._state = this.CLOSING;
    }
  }

  private _onOpen(socket: WebSocket): void {
    if (this._abort.signal.aborted) {
      socket.close(); // it opened while `close` was called
      this._onClose(ABNORMAL_CLOSURE, '', false);
      return;
    }
    this._socket = socket;
    socket.binaryType = this._binaryType;
    socket.onmessage = ({ data, origin }: MessageEvent<unknown>) =>
      this.dispatchEvent(new MessageEvent('message', { data, origin }));
    socket.onerror = () => this.dispatchEvent(new Event('error'));
    socket.onclose = ({ code, reason, wasClean }) => this._onClose(code, reason, wasClean);
    this.dispatchEvent(new Event('open'));
  }

  private _onClose(code: number, reason: string, wasClean: boolean): void {
    this._state = this.CLOSED;
    if (!this._socket) {
      this.dispatchEvent(new Event('error'));
    }
    this.dispatchEvent(new CloseEvent('close', { code, reason, wasClean }));
  }

  private readonly _abort = new AbortController();
  private _binaryType: BinaryType = 'blob';
  private _socket: WebSocket | null = null;
  private _state = 0; // CONNECTING; used while there is no native socket
}

/** A class that replaces WebSocket in the settings of the kernel manager. */
export function channelsSocketClass(
  routes: Routes,
  settings: ServerConnection.ISettings,
  findEndpoints: FindEndpoints
): typeof WebSocket {
  // A function that is called with `new`; the class of the object that it returns depends on the
  // address.
  function ChannelsOrOther(url: string | URL, protocols: string | string[] = []) {
    const channels = parseChannelsUrl(url);
    return channels
      ? new ChannelsSocket(channels, protocols, routes, findEndpoints)
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
