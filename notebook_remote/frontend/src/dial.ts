/*
 * Opens the native WebSocket of one place, or says why that did not work.
 *
 * A browser does not tell a page why, and it waits minutes for a host that does not answer. But a
 * gateway may well take its time: it answers when the kernel is up. So a socket that is not open
 * soon is given up only if the gateway does not answer a plain HTTP request either.
 */

import { IPlace } from './places';
import { Why } from './routes';

// Milliseconds. All this together with the relay's own opening must stay below three seconds.
const PROBE_AFTER = 900;
const SILENT_AFTER = 1900;
const SLOW_AFTER = 20_000; // the gateway answers, but its WebSocket never opens

/** Why a socket did not open. Carries no address, since that may contain a ticket. */
export class NotOpened extends Error {
  constructor(readonly why: Why) {
    super(why);
  }
}

/** Where the gateway at a direct place answers HTTP requests; without its ticket. */
export function httpBase(place: IPlace): string {
  const { protocol, host, pathname } = new URL(place.url);
  const base = pathname.slice(0, pathname.lastIndexOf('/api/kernels/'));
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}${base}`;
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

/** Open the socket of a place. Rejects with NotOpened, or when the signal aborts it. */
export function dial(place: IPlace, signal: AbortSignal): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    let socket: WebSocket;
    try {
      socket = new WebSocket(place.url, place.protocols);
    } catch {
      // An https page must not open ws://. The exception's text may contain the address.
      reject(new NotOpened('insecure'));
      return;
    }
    const direct = place.kind === 'direct';
    const timers: number[] = [];
    const done = new AbortController();

    const finish = () => {
      done.abort();
      timers.forEach(timer => window.clearTimeout(timer));
      socket.onopen = socket.onerror = socket.onclose = null;
    };
    const fail = (why: Why) => {
      finish();
      socket.close();
      reject(new NotOpened(why));
    };
    const later = (delay: number, action: () => void) => {
      timers.push(window.setTimeout(action, delay));
    };

    socket.onopen = () => {
      finish();
      resolve(socket);
    };
    // A blocked one fires `error` and not always `close`; the reason, if any, comes with it.
    socket.onerror = socket.onclose = () => later(0, () => fail('refused'));
    signal.addEventListener('abort', () => fail('aborted'), { signal: done.signal });
    if (direct) {
      const { host } = new URL(place.url);
      const onViolation = ({ blockedURI }: SecurityPolicyViolationEvent) => {
        if (blockedURI.split('/')[2] === host) {
          fail('policy');
        }
      };
      document.addEventListener('securitypolicyviolation', onViolation, { signal: done.signal });
      let answers = false;
      later(PROBE_AFTER, () => {
        knock(httpBase(place), done.signal).then(
          () => (answers = true),
          () => undefined // it is given up in due time
        );
      });
      later(SILENT_AFTER, () => answers || fail('silent'));
      later(SLOW_AFTER, () => fail('slow'));
    }
  });
}
