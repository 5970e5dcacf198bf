/*
 * The notebook server's messages about errors of a gateway, adapted for pages. Such a message says what
 * is wrong and then what to do, often in a terminal or a configuration file; users of a page have
 * other means.
 */

import { ServerConnection } from '@jupyterlab/services';

type Fetch = ServerConnection.ISettings['fetch'];

const TERMINAL_ADVICE = /--\w|\b(JUPYTER|NOTEBOOK_REMOTE)_|\bGateway\.\w/;

const TOKEN_REFUSED = 'GatewayAuthError';

// By the kind of the error, which is the name of its class in the server.
const PAGE_ADVICE: Record<string, string> = {
  GatewayUnreachable: 'check that it runs, and its address in Settings → Gateways…',
  [TOKEN_REFUSED]: 'enter its token in Settings → Gateways…',
  GatewayAnswerError: 'check its address in Settings → Gateways…'
};

/** A message with advice that users of a page can follow. */
export function messageForPage(message: string, kind: string): string {
  const advice = PAGE_ADVICE[kind];
  const needsTerminal = kind === TOKEN_REFUSED || TERMINAL_ADVICE.test(message);
  return advice && needsTerminal ? `${withoutAdvice(message)}: ${advice}` : message;
}

/** The part of a message that says what is wrong, without the part that says what to do. */
export function withoutAdvice(message: string): string {
  const parts = message.split(': ');
  const problem = parts.length > 1 ? parts.slice(0, -1) : parts;
  return problem.join(': ').replace(/\.$/, '');
}

/** A `fetch` that adapts the messages in error responses. */
export function fetchWithPageMessages(fetch: Fetch): Fetch {
  return async (input: RequestInfo, init?: RequestInit) => {
    const response = await fetch.call(null, input, init);
    if (response.ok || response.type === 'opaqueredirect') {
      return response;
    }
    const body = (await response
      .clone()
      .json()
      .catch(() => null)) as { kind?: string; message?: string } | null;
    if (!body?.kind || !body.message) {
      return response;
    }
    const { status, statusText } = response;
    const message = messageForPage(body.message, body.kind);
    return new Response(JSON.stringify({ ...body, message }), { status, statusText });
  };
}
