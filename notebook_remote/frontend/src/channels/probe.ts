/*
 * Probes a gateway with an HTTP request before a WebSocket is opened there.
 *
 * A browser does not tell a page why a WebSocket failed, it waits minutes for a host that does not
 * answer, and it writes the address of a failed WebSocket, with the ticket in it, to the console.
 * So a gateway that does not answer HTTP requests soon gets no WebSocket.
 */

import { FallbackReason } from '../tokens';

const PROBE_TIMEOUT = 1900; // milliseconds; with the opening of the relay it must be below 3 seconds

// Names of the permission to access addresses that are not public, from a page that is.
const LOCAL_NETWORK_PERMISSIONS = ['local-network-access', 'local-network', 'loopback-network'];

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Why a connection failed. Has no address in it, since that may contain a ticket. */
export class ConnectionFailed extends Error {
  constructor(readonly reason: FallbackReason) {
    super(reason);
  }
}

/** Whether browsers block a gateway as mixed content: http from a page that was loaded over https. */
export function isMixedContent(base: string, pageProtocol = location.protocol): boolean {
  const { protocol, hostname } = new URL(base);
  // Addresses of the own computer are exempt.
  return pageProtocol === 'https:' && protocol === 'http:' && !LOOPBACK.test(hostname);
}

/** Send any request to a gateway: the milliseconds until its response. Rejects as `fetch` does. */
export async function ping(base: string, signal?: AbortSignal): Promise<number> {
  const start = performance.now();
  // Without CORS the page cannot read the response, but it learns that there is one.
  await fetch(`${base}/api`, {
    mode: 'no-cors',
    cache: 'no-store',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal
  });
  return performance.now() - start;
}

/** Resolves if a gateway answers soon. Rejects with ConnectionFailed. */
export async function probe(base: string, signal: AbortSignal): Promise<void> {
  let reason: FallbackReason = isMixedContent(base) ? 'insecure' : 'refused';
  const done = new AbortController();
  const timer = window.setTimeout(() => {
    reason = 'silent';
    done.abort();
  }, PROBE_TIMEOUT);
  signal.addEventListener('abort', () => done.abort(), { signal: done.signal });
  const violatesPolicy = watchPolicy(base, done);
  try {
    await ping(base, done.signal);
  } catch {
    if (await violatesPolicy()) {
      reason = 'policy';
    } else if (reason === 'refused' && (await isLocalNetworkDenied())) {
      reason = 'local network';
    }
    throw new ConnectionFailed(reason);
  } finally {
    window.clearTimeout(timer);
    done.abort();
  }
}

/**
 * Watch for violations of the page's content security policy until `done` is aborted. The function
 * that is returned tells, after a failed attempt, whether the policy was the reason.
 */
export function watchPolicy(address: string, done: AbortController): () => Promise<boolean> {
  const { origin } = new URL(address);
  let violated = false;
  const onViolation = ({ blockedURI }: SecurityPolicyViolationEvent) => {
    violated ||= blockedURI.startsWith(origin);
  };
  document.addEventListener('securitypolicyviolation', onViolation, { signal: done.signal });
  return async () => {
    await new Promise(resolve => setTimeout(resolve)); // the event comes after the failure
    return violated;
  };
}

/** Whether the browser's settings deny this site access to local networks. */
async function isLocalNetworkDenied(): Promise<boolean> {
  if (!isSecureContext) {
    return false; // the state is always "denied" there
  }
  const states = LOCAL_NETWORK_PERMISSIONS.map(async name => {
    const { state } = await navigator.permissions.query({ name: name as PermissionName });
    return state;
  });
  const settled = await Promise.allSettled(states); // no browser knows all of the names
  return settled.some(result => result.status === 'fulfilled' && result.value === 'denied');
}
