import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { ILink } from '../../src/server/links';
import { IRoute } from '../../src/tokens';
import { formatDuration, IConnectionInfo, isFallback, statusOf } from '../../src/toolbar/status';

const trans = nullTranslator.load('notebook_remote');

const CONNECTED: IConnectionInfo = {
  backend: { name: 'gpu', label: 'gpu', mode: 'direct' },
  status: 'connected',
  connectivityProblem: '',
  lostAt: null,
  connectingFor: 0
};
const ROUTE: IRoute = {
  backend: 'gpu',
  kind: 'direct',
  fallbackReason: '',
  attempt: 0,
  openedIn: 20,
  gateway: 'https://gpu:8888'
};
const SILENT_LINK: ILink = {
  kernel_id: 'k1',
  session_id: 's1',
  backend: 'gpu',
  state: 'silent',
  reconnects: 0,
  round_trip_time: { browser: null, gateway: null },
  last_error: null
};
const RELAYED: IConnectionInfo = { ...CONNECTED, route: { ...ROUTE, kind: 'relay' } };
const PROXY: IConnectionInfo = { ...RELAYED, backend: { ...CONNECTED.backend, mode: 'proxy' } };
const CONNECTING: IConnectionInfo = { ...CONNECTED, status: 'connecting' };

describe('statusOf', () => {
  it.each<[string, IConnectionInfo, string, string, string]>([
    ['a direct connection', { ...CONNECTED, route: ROUTE }, 'good', 'direct', 'connected'],
    ['a relayed connection in proxy mode', PROXY, 'good', '', 'connected'],
    ['a fallback', RELAYED, 'warn', 'not direct', 'connected'],
    ['a silent gateway', { ...PROXY, link: SILENT_LINK }, 'warn', '', 'not answering'],
    ['connecting', CONNECTING, 'busy', '', 'connecting'],
    ['connecting slowly', { ...CONNECTING, connectingFor: 2.9 }, 'busy', '', 'connecting, 2 s'],
    ['giving up', { ...CONNECTED, status: 'disconnected' }, 'lost', '', 'not connected'],
    [
      'an expired login',
      { ...CONNECTING, connectivityProblem: 'logged out' },
      'lost',
      '',
      'logged out'
    ]
  ])('of %s', (_, connection, level, mode, state) => {
    expect(statusOf(connection, trans)).toEqual({ level, mode, state });
  });

  it('has the time at which the connection was lost', () => {
    const lostAt = new Date(2026, 0, 1, 12, 34, 56);
    const { level, state } = statusOf({ ...CONNECTING, lostAt }, trans);
    expect(level).toBe('lost');
    expect(state).toBe(`connection lost at ${lostAt.toLocaleTimeString()}`);
  });

  it('shows the mode of a browser gateway in any state', () => {
    const backend = { ...CONNECTED.backend, mode: 'browser' as const };
    expect(statusOf({ ...CONNECTING, backend }, trans).mode).toBe('browser');
  });
});

describe('isFallback', () => {
  it('is only true for an open relay in direct mode', () => {
    expect(isFallback(RELAYED)).toBe(true);
    expect(isFallback(PROXY)).toBe(false);
    expect(isFallback({ ...RELAYED, status: 'connecting' })).toBe(false);
    expect(isFallback({ ...CONNECTED, route: ROUTE })).toBe(false);
    expect(isFallback(CONNECTED)).toBe(false);
  });
});

it.each([
  [0.0012, '1.2 ms'],
  [0.0123, '12 ms'],
  [1.5, '1500 ms']
])('formatDuration(%d)', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
