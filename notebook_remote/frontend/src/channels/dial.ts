/*
 * Opens the native WebSocket of one place, or says why that did not work.
 *
 * A browser does not tell a page why, it waits minutes for a host that does not answer, and it
 * writes the address of a WebSocket that failed into the console, with the ticket in it. So a
 * gateway is first asked for anything at all over HTTP. If there is no answer soon, the WebSocket
 * is not tried; if there is one, the WebSocket may take its time, since a gateway answers when the
 * kernel is up, and hanging up on it before that confuses stock gateways.
 */

import { IPlace } from './endpoints';
import { Why } from './routes';

// Milliseconds. With the opening of the relay this must stay below three seconds.
const SILENT_AFTER = 1900;
const SLOW_AFTER = 20_000; // the gateway answers, but its WebSocket does not open

// What browsers call the permission to reach addresses that are not public, from a page that is.
const LOCAL_NETWORK = ['local-network-access', 'local-network', 'loopback-network'];

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Why a socket did not open. Carries no address, since that may contain a ticket. */
export class NotOpened extends Error {
  constructor(readonly why: Why) {
    super(why);
  }
}

/** Whether browsers keep this page from an address because it came over https and that does not. */
export function isInsecure(base: string): boolean {
  const { protocol, hostname } = new URL(base);
  // They make an exception for their own computer.
  return location.protocol === 'https:' && protocol === 'http:' && !LOOPBACK.test(hostname);
}

/** Ask a gateway for anything at all: milliseconds until its answer; rejects if there is none. */
export async function knock(base: string, signal?: AbortSignal): Promise<number> {
  const start = performance.now();
  // Without CORS the page may not read the answer, but it learns that there is one.
  await fetch(`${base}/api`, {
    mode: 'no-cors',
    cache: 'no-store',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal
  });
  return performance.now() - start;
}

/** Open the socket of a place. Rejects with NotOpened, also when the signal aborts it. */
export async function dial(place: IPlace, signal: AbortSignal): Promise<WebSocket> {
  if (place.base && !place.answers) {
    await reach(place.base, signal);
  }
  return open(place, signal);
}

/** Resolves if a gateway answers this page soon. */
async function reach(base: string, signal: AbortSignal): Promise<void> {
  let why: Why = isInsecure(base) ? 'insecure' : 'refused';
  const done = new AbortController();
  const listen = { signal: done.signal };
  const timer = window.setTimeout(() => {
    why = 'silent';
    done.abort();
  }, SILENT_AFTER);
  signal.addEventListener('abort', () => done.abort(), listen);
  const forbidden = watchPolicy(base, done);
  try {
    await knock(base, done.signal);
  } catch {
    if (await forbidden()) {
      why = 'policy';
    } else if (why === 'refused' && (await keptFromLocalNetwork())) {
      why = 'local network';
    }
    throw new NotOpened(why);
  } finally {
    window.clearTimeout(timer);
    done.abort();
  }
}

/** Tells after an attempt to connect whether this page's policy has forbidden it. */
function watchPolicy(address: string, done: AbortController): () => Promise<boolean> {
  const { origin } = new URL(address);
  let forbidden = false;
  const onViolation = ({ blockedURI }: SecurityPolicyViolationEvent) => {
    forbidden ||= blockedURI.startsWith(origin);
  };
  document.addEventListener('securitypolicyviolation', onViolation, { signal: done.signal });
  return async () => {
    await new Promise(resolve => setTimeout(resolve)); // until a violation has been told, too
    return forbidden;
  };
}

/** Whether the browser's user, or who manages it, does not let this site into local networks. */
async function keptFromLocalNetwork(): Promise<boolean> {
  if (!isSecureContext) {
    return false; // there the answer is always that it is denied
  }
  const states = LOCAL_NETWORK.map(async name => {
    const { state } = await navigator.permissions.query({ name: name as PermissionName });
    return state;
  });
  const settled = await Promise.allSettled(states); // not every browser knows every name
  return settled.some(one => one.status === 'fulfilled' && one.value === 'denied');
}

function open(place: IPlace, signal: AbortSignal): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    let socket: WebSocket;
    const done = new AbortController();
    const forbidden = watchPolicy(place.url, done);
    try {
      socket = new WebSocket(place.url, place.protocols);
    } catch {
      done.abort();
      // An https page must not open ws://. The exception's text may contain the address.
      reject(new NotOpened('insecure'));
      return;
    }
    const finish = () => {
      done.abort();
      window.clearTimeout(timer);
      socket.onopen = socket.onerror = socket.onclose = null;
    };
    const fail = (why: Why) => {
      finish();
      socket.close();
      reject(new NotOpened(why));
    };
    // The relay's server gives up by itself.
    const timer =
      place.kind === 'direct' ? window.setTimeout(() => fail('slow'), SLOW_AFTER) : undefined;
    signal.addEventListener('abort', () => fail('aborted'), { signal: done.signal });
    socket.onopen = () => {
      finish();
      resolve(socket);
    };
    // One that a policy blocks fires `error` and never `close`.
    socket.onerror = socket.onclose = async () =>
      fail((await forbidden()) ? 'policy' : 'not opened');
  });
}
