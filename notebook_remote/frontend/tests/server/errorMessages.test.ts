import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  fetchWithPageMessages,
  messageForPage,
  withoutAdvice
} from '../../src/server/errorMessages';
import { IHttpServer, startHttpServer } from '../support/httpServer';

const UNREACHABLE =
  'The gateway at http://gpu:8888 does not answer (refused): check it, or set --gateway-url.';

describe('withoutAdvice', () => {
  it.each([
    ['The gateway is away: start it.', 'The gateway is away'],
    ['It is at http://gpu:8888: start it.', 'It is at http://gpu:8888'],
    ['HTTP 500: no memory: ask its administrator.', 'HTTP 500: no memory'],
    ['No advice.', 'No advice']
  ])('%s', (message, problem) => {
    expect(withoutAdvice(message)).toBe(problem);
  });
});

describe('messageForPage', () => {
  it('replaces advice that needs a terminal', () => {
    expect(messageForPage(UNREACHABLE, 'GatewayUnreachable')).toBe(
      'The gateway at http://gpu:8888 does not answer (refused): check that it runs, and its address in Settings → Gateways…'
    );
  });

  it.each(['JUPYTER_GATEWAY_URL', 'NOTEBOOK_REMOTE_GPU_URL', 'Gateway.url', '--gateway-url'])(
    'replaces advice with %s',
    option => {
      const message = messageForPage(`Wrong: set ${option}.`, 'GatewayAnswerError');
      expect(message).toBe('Wrong: check its address in Settings → Gateways…');
    }
  );

  it('leaves advice that users of a page can follow', () => {
    const message = 'The gateway does not answer: wait a moment.';
    expect(messageForPage(message, 'GatewayUnreachable')).toBe(message);
  });

  it('always says where to enter a token', () => {
    const message = messageForPage('The gateway refuses the token: ask.', 'GatewayAuthError');
    expect(message).toBe('The gateway refuses the token: enter its token in Settings → Gateways…');
  });

  it('leaves errors of other kinds', () => {
    expect(messageForPage(UNREACHABLE, 'KernelNotFound')).toBe(UNREACHABLE);
  });
});

describe('fetchWithPageMessages', () => {
  const adapted = fetchWithPageMessages(fetch);
  let server: IHttpServer;

  beforeEach(async () => {
    server = await startHttpServer();
  });

  afterEach(() => server.close());

  it('adapts the message of an error, and nothing else of the response', async () => {
    const kind = 'GatewayUnreachable';
    server.response = [503, JSON.stringify({ kind, message: UNREACHABLE, reason: null })];
    const response = await adapted(server.settings.baseUrl);
    expect(response.status).toBe(503);
    expect(response.statusText).toBe('Service Unavailable');
    const message = messageForPage(UNREACHABLE, kind);
    expect(await response.json()).toEqual({ kind, message, reason: null });
  });

  it.each([
    [200, `{"kind":"GatewayUnreachable","message":"${UNREACHABLE}"}`],
    [500, '<html>'],
    [500, '{"kind":"GatewayAuthError"}'],
    [404, `{"message":"${UNREACHABLE}"}`]
  ])('passes on a response with status %i and the body %s', async (status, body) => {
    server.response = [status, body];
    const response = await adapted(server.settings.baseUrl);
    expect([response.status, await response.text()]).toEqual([status, body]);
  });
});
