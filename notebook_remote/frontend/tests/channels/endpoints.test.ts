import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  EndpointsUnavailable,
  IEndpoint,
  parseChannelsUrl,
  requestEndpoints
} from '../../src/channels/endpoints';
import { IHttpServer, startHttpServer } from '../support/httpServer';

const KERNEL = '5f7b8b1e-0000-4000-8000-000000000000';
const URL_OF_RELAY = `ws://localhost:8888/base/api/kernels/${KERNEL}/channels?session_id=s1`;
const CHANNELS = { url: URL_OF_RELAY, kernelId: KERNEL, sessionId: 's1' };
const DIRECT: IEndpoint = {
  kind: 'direct',
  url: 'wss://gpu/my/kernels/x/channels?ticket=t',
  base: 'https://gpu',
  protocols: ['v1']
};

describe('parseChannelsUrl', () => {
  it('finds the kernel and the session', () => {
    expect(parseChannelsUrl(URL_OF_RELAY)).toEqual(CHANNELS);
  });

  it.each([
    'ws://localhost:8888/api/events/subscribe',
    `ws://localhost:8888/api/kernels/${KERNEL}/channels`, // no session
    `ws://localhost:8888/api/kernels/${KERNEL}/channels/more?session_id=s1`,
    `ws://localhost:8888/terminals/websocket/1?next=/api/kernels/${KERNEL}/channels`
  ])('is null for %s', address => {
    expect(parseChannelsUrl(address)).toBeNull();
  });
});

describe('requestEndpoints', () => {
  let server: IHttpServer;

  beforeEach(async () => {
    server = await startHttpServer();
  });

  afterEach(() => server.close());

  function request() {
    const { signal } = new AbortController();
    return requestEndpoints(CHANNELS, ['v1'], server.settings, signal);
  }

  it("posts the session to the kernel's route", async () => {
    await request();
    expect(server.requests).toEqual([
      {
        method: 'POST',
        path: `/base/notebook-remote/api/kernels/${KERNEL}/channels`,
        body: '{"session_id":"s1"}'
      }
    ]);
  });

  it('has the direct endpoint as it is, and the whole address of the relay', async () => {
    const relay = { kind: 'relay', url: '/base/api/kernels/x/channels', protocols: ['v1'] };
    server.response = [200, JSON.stringify({ backend: 'gpu', places: [DIRECT, relay] })];
    expect(await request()).toEqual({
      backend: 'gpu',
      endpoints: [DIRECT, { ...relay, url: URL_OF_RELAY }],
      fallbackReason: undefined
    });
  });

  it('has the reason why there is no direct endpoint', async () => {
    server.response = [200, JSON.stringify({ backend: 'gpu', places: [], why: 'No tickets.' })];
    expect((await request()).fallbackReason).toBe('No tickets.');
  });

  it.each([424, 503])('is worth a retry after status %i', async status => {
    server.response = [status, '{"message":"The gateway is away."}'];
    const requesting = request();
    await expect(requesting).rejects.toBeInstanceOf(EndpointsUnavailable);
    await expect(requesting).rejects.toThrow('The gateway is away.');
  });

  it('is worth a retry while there is no server', async () => {
    await server.close();
    await expect(request()).rejects.toBeInstanceOf(EndpointsUnavailable);
  });

  it('is not worth a retry if there is no such kernel', async () => {
    server.response = [404, '{"message":"No such kernel."}'];
    const requesting = request();
    await expect(requesting).rejects.toThrow('No such kernel.');
    await expect(requesting).rejects.not.toBeInstanceOf(EndpointsUnavailable);
  });

  it('uses the relay after any other error, even without JSON', async () => {
    server.response = [500, '<html>'];
    expect(await request()).toEqual({
      backend: '',
      endpoints: [{ kind: 'relay', url: URL_OF_RELAY, protocols: ['v1'] }],
      fallbackReason: 'Internal Server Error'
    });
  });
});
