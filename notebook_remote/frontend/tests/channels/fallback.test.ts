import { beforeEach, describe, expect, it } from 'vitest';

import { IEndpoint } from '../../src/channels/endpoints';
import { openWithFallback } from '../../src/channels/fallback';
import { ConnectionFailed } from '../../src/channels/probe';
import { Routes } from '../../src/channels/routes';
import { FallbackReason } from '../../src/tokens';

const GATEWAY = 'https://gpu:8888';
const DIRECT: IEndpoint = { kind: 'direct', url: 'wss://gpu:8888/', base: GATEWAY, protocols: [] };
const RELAY: IEndpoint = { kind: 'relay', url: 'ws://localhost:8888/', protocols: [] };

let routes: Routes;
let dialed: string[];
let abort: AbortController;

beforeEach(() => {
  routes = new Routes();
  dialed = [];
  abort = new AbortController();
});

/** Open the endpoints, where those of the given kinds fail. */
function open(
  failures: Partial<Record<IEndpoint['kind'], FallbackReason>> = {},
  endpoints = [DIRECT, RELAY],
  fallbackReason?: FallbackReason
) {
  async function dial({ kind, url }: IEndpoint): Promise<string> {
    dialed.push(kind);
    const reason = failures[kind];
    if (reason) {
      throw new ConnectionFailed(reason);
    }
    return Promise.resolve(`socket of ${url}`);
  }
  return openWithFallback(
    { backend: 'gpu', endpoints, fallbackReason },
    dial,
    routes,
    abort.signal
  );
}

describe('openWithFallback', () => {
  it('opens the direct endpoint if that works', async () => {
    expect(await open()).toEqual({
      socket: 'socket of wss://gpu:8888/',
      endpoint: DIRECT,
      fallbackReason: '',
      gateway: GATEWAY
    });
    expect(dialed).toEqual(['direct']);
  });

  it('falls back to the relay, with the reason', async () => {
    expect(await open({ direct: 'silent' })).toEqual({
      socket: 'socket of ws://localhost:8888/',
      endpoint: RELAY,
      fallbackReason: 'silent',
      gateway: GATEWAY
    });
    expect(dialed).toEqual(['direct', 'relay']);
  });

  it('does not try a gateway again that failed, but remembers why', async () => {
    await open({ direct: 'policy' });
    const { endpoint, fallbackReason, gateway } = await open();
    expect({ endpoint, fallbackReason, gateway }).toEqual({
      endpoint: RELAY,
      fallbackReason: 'policy',
      gateway: GATEWAY
    });
    expect(dialed).toEqual(['direct', 'relay', 'relay']);
  });

  it('tries the gateway again when the user wants that', async () => {
    await open({ direct: 'refused' });
    routes.retryDirect();
    expect((await open()).endpoint).toBe(DIRECT);
  });

  it('tries the gateway again if the relay failed too: the network is the problem', async () => {
    await expect(open({ direct: 'refused', relay: 'not opened' })).rejects.toThrow('not opened');
    expect((await open()).endpoint).toBe(DIRECT);
  });

  it("has the server's reason if there is no direct endpoint", async () => {
    const { fallbackReason, gateway } = await open({}, [RELAY], 'No tickets there.');
    expect({ fallbackReason, gateway }).toEqual({
      fallbackReason: 'No tickets there.',
      gateway: ''
    });
  });

  it('fails with the reason if there is no relay, as in browser mode', async () => {
    const opening = open({ direct: 'refused' }, [DIRECT]);
    await expect(opening).rejects.toMatchObject({ reason: 'refused' });
  });

  it('has no reason if another direct endpoint works', async () => {
    const other: IEndpoint = { ...DIRECT, base: 'https://other:8888' };
    routes.recordFailure(GATEWAY, 'silent');
    expect(await open({}, [DIRECT, other, RELAY])).toMatchObject({
      endpoint: other,
      fallbackReason: '',
      gateway: 'https://other:8888'
    });
  });

  it('does not fall back after it was aborted', async () => {
    abort.abort();
    await expect(open({ direct: 'aborted' })).rejects.toThrow('aborted');
    expect(dialed).toEqual(['direct']);
  });
});
