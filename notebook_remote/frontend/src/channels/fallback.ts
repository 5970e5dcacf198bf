/*
 * Decides which way a kernel's channels go: the endpoints are tried in their order, and when the direct
 * one fails the page falls back to the notebook server's relay. The reason is kept for the toolbar.
 */

import { FallbackReason } from '../tokens';
import { IEndpoint, IEndpoints } from './endpoints';
import { ConnectionFailed } from './probe';
import { Routes } from './routes';

export type Dial<Socket> = (endpoint: IEndpoint, signal: AbortSignal) => Promise<Socket>;

export interface IOpenedEndpoint<Socket> {
  socket: Socket;
  endpoint: IEndpoint;
  /** Why this is not the direct endpoint; empty if it is. */
  fallbackReason: FallbackReason;
  /** Where the gateway of the direct endpoint answers HTTP requests; empty if there is none. */
  gateway: string;
}

/**
 * Open the first endpoint that works. Rejects with the error of the relay, with ConnectionFailed if
 * there is no relay, or if it is aborted.
 *
 * A gateway that failed is not tried again for a while, so that reconnecting does not take longer than
 * it must, but only if the relay worked: else this computer's network may be the problem.
 */
export async function openWithFallback<Socket>(
  { endpoints, fallbackReason = '' }: IEndpoints,
  dial: Dial<Socket>,
  routes: Routes,
  signal: AbortSignal
): Promise<IOpenedEndpoint<Socket>> {
  let reason = fallbackReason;
  let gateway = '';
  const failed: string[] = [];
  for (const endpoint of endpoints) {
    const { base = '', kind } = endpoint;
    gateway = base || gateway;
    const recent = base && routes.recentFailure(base);
    if (recent) {
      reason = recent;
      continue;
    }
    try {
      const socket = await dial(endpoint, signal);
      failed.forEach(base => routes.recordFailure(base, reason));
      return { socket, endpoint, fallbackReason: kind === 'direct' ? '' : reason, gateway };
    } catch (error) {
      if (signal.aborted || !base) {
        throw error;
      }
      reason = error instanceof ConnectionFailed ? error.reason : 'not opened';
      failed.push(base);
    }
  }
  throw new ConnectionFailed(reason);
}
