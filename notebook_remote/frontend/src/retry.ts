/* Asks again until there is an answer. */

import { ServerConnection } from '@jupyterlab/services';

const FIRST_PAUSE = 500; // milliseconds
const AWAY = [424, 503];

export interface IRetry {
  /** Which errors mean that there is nobody to answer yet. */
  isAway: (error: unknown) => boolean;
  /** Milliseconds between two attempts, at most. */
  longestPause: number;
  /** The last error is thrown when this says so. */
  signal?: AbortSignal;
}

/** The first answer. Rejects with an error that does not mean that nobody is there. */
export async function untilThere<T>(
  ask: () => Promise<T>,
  { isAway, longestPause, signal }: IRetry
): Promise<T> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      return await ask();
    } catch (error) {
      if (signal?.aborted || !isAway(error)) {
        throw error;
      }
    }
    const spread = pause * (0.5 + Math.random()); // not all pages at the same moment
    await new Promise(resolve => {
      window.setTimeout(resolve, spread);
      signal?.addEventListener('abort', resolve, { once: true });
    });
  }
}

/** Whether the notebook server or a gateway cannot be asked now, as JupyterLab sees it. */
export function isAway(error: unknown): boolean {
  return (
    error instanceof ServerConnection.NetworkError ||
    (error instanceof ServerConnection.ResponseError && AWAY.includes(error.response.status))
  );
}
