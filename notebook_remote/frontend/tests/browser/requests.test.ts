import { describe, expect, it } from 'vitest';

import { channelsUrl, routeOf, routeUrl } from '../../src/browser/requests';
import { IBrowserBackend } from '../../src/server/config';

const BACKEND: IBrowserBackend = {
  name: 'gpu',
  label: 'gpu',
  mode: 'browser',
  url: 'https://gpu:8888/team-a',
  ws_url: 'wss://gpu:8888/team-a',
  scope: 's',
  insecure_token: false,
  env: {}
};
const CUSTOM = {
  ...BACKEND,
  kernels_endpoint: '/my/kernels',
  kernelspecs_endpoint: '/my/kernelspecs'
};

describe('routeUrl', () => {
  it.each([
    ['kernels', 'https://gpu:8888/team-a/api/kernels'],
    ['kernels/k1/restart', 'https://gpu:8888/team-a/api/kernels/k1/restart'],
    ['kernelspecs', 'https://gpu:8888/team-a/api/kernelspecs'],
    ['notebook-remote/pass', 'https://gpu:8888/team-a/api/notebook-remote/pass']
  ])('of %s with the token', (route, url) => {
    expect(routeUrl(BACKEND, route, false)).toBe(url);
  });

  it('is a route of the add-on with a pass', () => {
    const url = 'https://gpu:8888/team-a/api/notebook-remote/kernels/k1';
    expect(routeUrl(BACKEND, 'kernels/k1', true)).toBe(url);
    expect(routeUrl(CUSTOM, 'kernels/k1', true)).toBe(url);
  });

  it.each([
    ['kernels/k1', 'https://gpu:8888/team-a/my/kernels/k1'],
    ['kernelspecs', 'https://gpu:8888/team-a/my/kernelspecs'],
    ['notebook-remote/pass', 'https://gpu:8888/team-a/api/notebook-remote/pass']
  ])('of %s with configured endpoints', (route, url) => {
    expect(routeUrl(CUSTOM, route, false)).toBe(url);
  });
});

describe('channelsUrl', () => {
  const query = new URLSearchParams({ session_id: 's 1', ticket: 'a/b' });

  it('has an encoded query', () => {
    const url = 'wss://gpu:8888/team-a/api/kernels/k1/channels?session_id=s+1&ticket=a%2Fb';
    expect(channelsUrl(BACKEND, 'k1', query)).toBe(url);
  });

  it('has the configured endpoint', () => {
    const url = 'wss://gpu:8888/team-a/my/kernels/k1/channels?session_id=s+1&ticket=a%2Fb';
    expect(channelsUrl(CUSTOM, 'k1', query)).toBe(url);
  });
});

describe('routeOf', () => {
  it.each([
    ['https://gpu:8888/team-a/api/kernels/k1', 'kernels/k1'],
    ['https://gpu:8888/team-a/api/kernelspecs?1700000000', 'kernelspecs']
  ])('%s', (address, route) => {
    expect(routeOf(BACKEND, address)).toBe(route);
  });
});
