import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Routes } from '../../src/channels/routes';

const MINUTE = 60_000;

describe('Routes', () => {
  const changed: string[] = [];
  let routes: Routes;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    changed.length = 0;
    routes = new Routes();
    routes.changed.connect((_, sessionId) => changed.push(sessionId));
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('adds changes to a route, and emits its session id', () => {
    routes.update('a', { attempt: 1 });
    routes.update('a', { kind: 'direct', backend: 'gpu' });
    expect(routes.get('a')).toEqual({
      backend: 'gpu',
      kind: 'direct',
      fallbackReason: '',
      attempt: 1,
      openedIn: 0,
      gateway: ''
    });
    expect(changed).toEqual(['a', 'a']);
  });

  it('deletes a route', () => {
    routes.update('a', { attempt: 1 });
    routes.delete('a');
    expect(routes.get('a')).toBeUndefined();
    expect(changed).toEqual(['a', 'a']);
  });

  it('knows for a minute why a gateway failed', () => {
    routes.recordFailure('https://gpu', 'silent');
    vi.advanceTimersByTime(MINUTE - 1);
    expect(routes.recentFailure('https://gpu')).toBe('silent');
    expect(routes.recentFailure('https://other')).toBe('');
    vi.advanceTimersByTime(1);
    expect(routes.recentFailure('https://gpu')).toBe('');
  });
});
