/* Connects to a kernel's channels: requests the endpoints, and opens the best one that works. */

import { retryWhileUnavailable } from '../retry';
import { dial } from './dial';
import { EndpointsUnavailable, IEndpoints, IKernelChannels } from './endpoints';
import { openWithFallback } from './fallback';
import { Routes } from './routes';

// Milliseconds.
const ENDPOINTS_TIMEOUT = 30_000;
const MAX_RETRY_DELAY = 2000;

/** Finds the endpoints of a kernel's channels; `protocols` are those of JupyterLab. */
export type FindEndpoints = (
  channels: IKernelChannels,
  protocols: string[],
  signal: AbortSignal
) => Promise<IEndpoints>;

/** Open a kernel's channels, and record the route that they take. */
export async function connectChannels(
  channels: IKernelChannels,
  protocols: string[],
  routes: Routes,
  findEndpoints: FindEndpoints,
  abort: AbortController
): Promise<WebSocket> {
  const { sessionId } = channels;
  let start = 0;

  function attempt(): Promise<IEndpoints> {
    start = performance.now();
    routes.update(sessionId, { attempt: (routes.get(sessionId)?.attempt ?? 0) + 1 });
    return findEndpoints(channels, protocols, abort.signal);
  }

  const timer = setTimeout(() => abort.abort(), ENDPOINTS_TIMEOUT);
  // JupyterLab alone would retry 10 to 30 seconds after an outage of one second.
  const found = await retryWhileUnavailable(attempt, {
    isUnavailable: error => error instanceof EndpointsUnavailable,
    maxDelay: MAX_RETRY_DELAY,
    signal: abort.signal
  }).finally(() => clearTimeout(timer));

  const opened = await openWithFallback(found, dial, routes, abort.signal);
  const { socket, endpoint, fallbackReason, gateway } = opened;
  routes.update(sessionId, {
    backend: found.backend,
    kind: endpoint.kind,
    fallbackReason,
    attempt: 0,
    openedIn: performance.now() - start,
    gateway
  });
  return socket;
}
