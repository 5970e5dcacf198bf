/* Retries with exponential backoff while a server cannot answer. */

import { ServerConnection } from '@jupyterlab/services';

const INITIAL_DELAY = 500; // milliseconds
const UNAVAILABLE_STATUS = [424, 503];

export interface IRetryOptions {
  /** Which errors are worth another attempt. */
  isUnavailable: (error: unknown) => boolean;
  /** The longest delay between two attempts, in milliseconds, before jitter. */
  maxDelay: number;
  /** Stops the retries: the error of the last attempt is thrown. */
  signal?: AbortSignal;
}

/** The delay after the given number of failed attempts, in milliseconds, before jitter. */
export function backoff(failures: number, maxDelay: number): number {
  return Math.min(INITIAL_DELAY * 2 ** (failures - 1), maxDelay);
}

/** Retry a request until it succeeds. Rejects with the first error that is not worth a retry. */
export async function retryWhileUnavailable<T>(
  request: () => Promise<T>,
  { isUnavailable, maxDelay, signal }: IRetryOptions
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await request();
    } catch (error) {
      if (signal?.aborted || !isUnavailable(error)) {
        throw error;
      }
    }
    const jitter = 0.5 + Math.random(); // so that not all pages retry at the same moment
    await new Promise(resolve => {
      setTimeout(resolve, backoff(failures, maxDelay) * jitter);
      signal?.addEventListener('abort', resolve, { once: true });
    });
  }
}

/** Whether the notebook server, or a gateway behind it, is unavailable at the moment. */
export function isUnavailable(error: unknown): boolean {
  return (
    error instanceof ServerConnection.NetworkError ||
    (error instanceof ServerConnection.ResponseError &&
      UNAVAILABLE_STATUS.includes(error.response.status))
  );
}
