import { ServerConnection } from '@jupyterlab/services';
import { describe, expect, it } from 'vitest';

import { FindEndpoints } from '../../src/channels/connect';
import { Routes } from '../../src/channels/routes';
import { ChannelsSocket, channelsSocketClass } from '../../src/channels/socket';

const ADDRESS = 'ws://localhost:8888/api/kernels/k1/channels?session_id=s1';

const kernelNotFound: FindEndpoints = () => Promise.reject(new Error('No such kernel.'));

/** Never finds an endpoint, until it is aborted. */
const waiting: FindEndpoints = (_channels, _protocols, signal) =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
  );

function open(findEndpoints: FindEndpoints, routes = new Routes()): WebSocket {
  const settings = ServerConnection.makeSettings();
  return new (channelsSocketClass(routes, settings, findEndpoints))(ADDRESS);
}

/** Resolves when the socket is closed, with the events that it fired. */
function eventsOf(socket: WebSocket): Promise<string[]> {
  const events: string[] = [];
  return new Promise(resolve => {
    socket.onopen = () => events.push('open');
    socket.onerror = () => events.push('error');
    socket.onclose = ({ code, wasClean }) => {
      events.push(`close ${code} ${wasClean}`);
      resolve(events);
    };
  });
}

describe('ChannelsSocket', () => {
  it('is connecting at first, and sends nothing', () => {
    const socket = open(waiting);
    expect(socket.readyState).toBe(WebSocket.CONNECTING);
    expect(() => socket.send('x')).toThrow('CONNECTING');
    socket.close();
  });

  it('fails like a WebSocket that could not be opened', async () => {
    const socket = open(kernelNotFound);
    expect(await eventsOf(socket)).toEqual(['error', 'close 1006 false']);
    expect(socket.readyState).toBe(WebSocket.CLOSED);
  });

  it('is aborted by close', async () => {
    const routes = new Routes();
    const socket = open(waiting, routes);
    const events = eventsOf(socket);
    socket.close();
    expect(socket.readyState).toBe(WebSocket.CLOSING);
    expect(await events).toEqual(['error', 'close 1006 false']);
    expect(routes.get('s1')).toBeUndefined();
  });

  it('counts the attempts', async () => {
    const routes = new Routes();
    await eventsOf(open(kernelNotFound, routes));
    await eventsOf(open(kernelNotFound, routes));
    expect(routes.get('s1')?.attempt).toBe(2);
  });
});

describe('channelsSocketClass', () => {
  it('has the constants of WebSocket', () => {
    const Socket = channelsSocketClass(new Routes(), ServerConnection.makeSettings(), waiting);
    const { CONNECTING, OPEN, CLOSING, CLOSED } = Socket;
    expect([CONNECTING, OPEN, CLOSING, CLOSED]).toEqual([0, 1, 2, 3]);
  });

  it("makes a socket of the settings' class for other addresses", () => {
    class Other extends EventTarget {
      constructor(readonly address: string) {
        super();
      }
    }
    const WebSocket = Other as unknown as typeof globalThis.WebSocket;
    const settings = ServerConnection.makeSettings({ WebSocket });
    const Socket = channelsSocketClass(new Routes(), settings, waiting);
    expect(new Socket('ws://localhost/api/events/subscribe')).toBeInstanceOf(Other);
    const socket = new Socket(ADDRESS);
    expect(socket).toBeInstanceOf(ChannelsSocket);
    socket.close();
  });
});
