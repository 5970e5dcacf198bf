/* A real HTTP server for a test, which sees the requests and decides about the responses. */

import { createServer } from 'node:http';
import { AddressInfo } from 'node:net';

import { ServerConnection } from '@jupyterlab/services';

export interface IReceived {
  method?: string;
  path?: string;
  body: string;
}

export interface IHttpServer {
  settings: ServerConnection.ISettings;
  requests: IReceived[];
  /** The status and the body of the next responses. */
  response: [number, string];
  close(): Promise<void>;
}

export async function startHttpServer(): Promise<IHttpServer> {
  const http = createServer((request, response) => {
    const { method, url } = request;
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      // JupyterLab adds the time as a query, so that no cache answers.
      server.requests.push({ method, path: url?.replace(/\?.*/, ''), body });
      const [status, text] = server.response;
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(text);
    });
  });
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const server: IHttpServer = {
    settings: ServerConnection.makeSettings({ baseUrl: `http://127.0.0.1:${port}/base/` }),
    requests: [],
    response: [200, '{}'],
    close: () =>
      new Promise(resolve => {
        http.close(() => resolve());
        http.closeAllConnections();
      })
  };
  return server;
}
