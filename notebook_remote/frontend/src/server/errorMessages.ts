/*
 * The notebook server's sentences about a gateway, for pages. The server says what is wrong, and then
 * what to do in a terminal or a configuration file; in a page other things can be done.
 */

import { ServerConnection } from '@jupyterlab/services';

type Fetch = ServerConnection.ISettings['fetch'];

const IN_A_TERMINAL = /--\w|\b(JUPYTER|NOTEBOOK_REMOTE)_|\bGateway\.\w/;

const TOKEN_REFUSED = 'GatewayAuthError';

// By the kind of the error, which is the name of its class in the server.
const IN_A_PAGE: Record<string, string> = {
  GatewayUnreachable: 'check that it runs, and its address in Settings → Gateways…',
  [TOKEN_REFUSED]: 'enter its token in Settings → Gateways…',
  GatewayAnswerError: 'check its address in Settings → Gateways…'
};

/** What is wrong, and what can be done in a page. */
export function forPage(sentence: string, kind: string): string {
  const step = IN_A_PAGE[kind];
  const elsewhere = kind === TOKEN_REFUSED || IN_A_TERMINAL.test(sentence);
  return step && elsewhere ? `${whatIsWrong(sentence)}: ${step}` : sentence;
}

/** The part of a sentence before what to do. */
export function whatIsWrong(sentence: string): string {
  const parts = sentence.split(': ');
  const steps = parts.length > 1 ? parts.slice(0, -1) : parts;
  return steps.join(': ').replace(/\.$/, '');
}

/** The same for the answers of the notebook server. */
export function wordedForPages(get: Fetch): Fetch {
  return async (input: RequestInfo, init?: RequestInit) => {
    const response = await get.call(null, input, init);
    if (response.ok || response.type === 'opaqueredirect') {
      return response;
    }
    const answer = await response
      .clone()
      .json()
      .catch(() => null);
    if (!answer?.kind || !answer.message) {
      return response;
    }
    const { status, statusText } = response;
    const message = forPage(answer.message, answer.kind);
    return new Response(JSON.stringify({ ...answer, message }), { status, statusText });
  };
}
