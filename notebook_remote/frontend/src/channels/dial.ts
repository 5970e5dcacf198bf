/* Opens the native WebSocket of one endpoint. */

import { FallbackReason } from '../tokens';
import { IEndpoint } from './endpoints';
import { ConnectionFailed, probe, watchPolicy } from './probe';

// Milliseconds. A gateway that answers HTTP requests opens the WebSocket when the kernel is up, and
// giving up before that confuses gateways without the add-on.
const DIRECT_OPEN_TIMEOUT = 20_000;

/** Open the WebSocket of an endpoint. Rejects with ConnectionFailed, also when it is aborted. */
export async function dial(endpoint: IEndpoint, signal: AbortSignal): Promise<WebSocket> {
  if (endpoint.base && !endpoint.reachable) {
    await probe(endpoint.base, signal);
  }
  return openWebSocket(endpoint, signal);
}

function openWebSocket(endpoint: IEndpoint, signal: AbortSignal): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    let socket: WebSocket;
    const done = new AbortController();
    const violatesPolicy = watchPolicy(endpoint.url, done);
    try {
      socket = new WebSocket(endpoint.url, endpoint.protocols);
    } catch {
      done.abort();
      // ws:// from a page that was loaded over https. The error's message may contain the address.
      reject(new ConnectionFailed('insecure'));
      return;
    }
    const finish = () => {
      done.abort();
      window.clearTimeout(timer);
      socket.onopen = socket.onerror = socket.onclose = null;
    };
    const fail = (reason: FallbackReason) => {
      finish();
      socket.close();
      reject(new ConnectionFailed(reason));
    };
    // The relay has its own timeout, in the notebook server.
    const timer =
      endpoint.kind === 'direct'
        ? window.setTimeout(() => fail('slow'), DIRECT_OPEN_TIMEOUT)
        : undefined;
    signal.addEventListener('abort', () => fail('aborted'), { signal: done.signal });
    socket.onopen = () => {
      finish();
      resolve(socket);
    };
    // A WebSocket that the policy blocks fires `error` and never `close`.
    socket.onerror = socket.onclose = () =>
      void violatesPolicy().then(violated => fail(violated ? 'policy' : 'not opened'));
  });
}
