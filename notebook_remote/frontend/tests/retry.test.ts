import { ServerConnection } from '@jupyterlab/services';
import { describe, expect, it } from 'vitest';

import { backoff, isUnavailable, retryWhileUnavailable } from '../src/retry';

const OPTIONS = { isUnavailable: (error: unknown) => error === 'unavailable', maxDelay: 50 };

/** A request that fails with each of the errors, and then succeeds. */
function failing(...errors: string[]): () => Promise<string> {
  return () => {
    const error = errors.shift();
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    return error === undefined ? Promise.resolve('done') : Promise.reject(error);
  };
}

describe('backoff', () => {
  it('doubles the delay up to the longest', () => {
    const delays = [1, 2, 3, 4, 5, 50].map(failures => backoff(failures, 4000));
    expect(delays).toEqual([500, 1000, 2000, 4000, 4000, 4000]);
  });
});

describe('retryWhileUnavailable', () => {
  it('retries until the request succeeds', async () => {
    const request = failing('unavailable', 'unavailable', 'unavailable');
    expect(await retryWhileUnavailable(request, OPTIONS)).toBe('done');
  });

  it('does not retry after another error', async () => {
    const request = failing('unavailable', 'forbidden');
    await expect(retryWhileUnavailable(request, OPTIONS)).rejects.toBe('forbidden');
    expect(await request()).toBe('done'); // the errors are used up, so there was one retry
  });

  it('waits between two attempts', async () => {
    const start = performance.now();
    await retryWhileUnavailable(failing('unavailable'), { ...OPTIONS, maxDelay: 100 });
    expect(performance.now() - start).toBeGreaterThan(45);
  });

  it('stops when it is aborted, without waiting', async () => {
    const start = performance.now();
    const retrying = retryWhileUnavailable(failing(...Array<string>(9).fill('unavailable')), {
      ...OPTIONS,
      maxDelay: 60_000,
      signal: AbortSignal.timeout(20)
    });
    await expect(retrying).rejects.toBe('unavailable');
    expect(performance.now() - start).toBeLessThan(200);
  });
});

describe('isUnavailable', () => {
  it.each([
    [503, true],
    [424, true],
    [404, false],
    [500, false]
  ])('of a response with status %i is %s', async (status, expected) => {
    const error = await ServerConnection.ResponseError.create(new Response('{}', { status }));
    expect(isUnavailable(error)).toBe(expected);
  });

  it('is true if there is no response, and false for other errors', () => {
    expect(isUnavailable(new ServerConnection.NetworkError(new TypeError('failed')))).toBe(true);
    expect(isUnavailable(new TypeError('failed'))).toBe(false);
  });
});
