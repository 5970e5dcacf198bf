/* A gateway that the page deals with by itself: browser mode. */

import { ServerConnection } from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';

import { IBrowserBackend } from './config';
import { Credentials, NoProof, send } from './credentials';
import { Away, IAnswer, ITarget } from './places';

const V1 = 'v1.kernel.websocket.jupyter.org';
const GIVE_UP = 503; // the status by which JupyterLab asks again later

/** Null if no gateway is used in browser mode. */
export const IBrowserGateway = new Token<BrowserGateway | null>(
  'notebook-remote:IBrowserGateway',
  'The gateway that the page deals with by itself, in browser mode.'
);

export class BrowserGateway {
  constructor(readonly backend: IBrowserBackend) {
    this.credentials = new Credentials(backend);
  }

  readonly credentials: Credentials;

  /** Settings by which the stock REST clients ask the gateway. */
  settings(server: ServerConnection.ISettings): ServerConnection.ISettings {
    const { url, ws_url } = this.backend;
    return {
      ...server,
      baseUrl: `${url}/`,
      wsUrl: `${ws_url}/`,
      token: '',
      appendToken: false,
      fetch: (input: RequestInfo | URL, init?: RequestInit) => this._fetch(new Request(input, init))
    };
  }

  /** Where the channels of a kernel are, with a ticket that is good for one socket. */
  async places({ kernelId, sessionId }: ITarget, signal: AbortSignal): Promise<IAnswer> {
    const query = new URLSearchParams({ session_id: sessionId });
    const proof = await this.credentials.get();
    if (proof.token) {
      query.set('token', proof.token);
    } else {
      const route = `kernels/${kernelId}/channels/ticket`;
      const body = JSON.stringify({ session_id: sessionId });
      const response = await this._ask(route, { method: 'POST', body, signal }).catch(error => {
        throw new Away(this._sentence(error));
      });
      const answer = await response.json();
      if (!response.ok) {
        throw new Error(answer.message || response.statusText);
      }
      query.set(answer.param, answer.ticket);
    }
    const { name, ws_url } = this.backend;
    const url = `${ws_url}/api/kernels/${kernelId}/channels?${query}`;
    return { backend: name, places: [{ kind: 'direct', url, protocols: [V1], answers: !proof.token }] };
  }

  /** What the stock clients have for `fetch`; answers always, if need be with a 503 of our own. */
  private async _fetch(request: Request): Promise<Response> {
    const { method, signal } = request;
    const route = request.url.slice(`${this.backend.url}/api/`.length).replace(/\?.*/, '');
    const body = method === 'GET' ? undefined : await request.text();
    try {
      return await this._ask(route, { method, body, signal });
    } catch (error) {
      if (signal.aborted) {
        throw error;
      }
      return new Response(JSON.stringify({ message: this._sentence(error) }), { status: GIVE_UP });
    }
  }

  private async _ask(route: string, init: RequestInit): Promise<Response> {
    const proof = await this.credentials.get();
    const response = await send(this.backend, route, init, proof);
    if (response.status !== 401) {
      return response;
    }
    this.credentials.refused(proof); // a pass expires, or the gateway was restarted
    return send(this.backend, route, init, await this.credentials.get());
  }

  private _sentence(error: unknown): string {
    const { url } = this.backend;
    if (!(error instanceof NoProof)) {
      return `This page does not reach the gateway at ${url}: check that it runs, and open it in a new tab, where the browser says what is wrong.`;
    }
    return error.problem === 'insecure'
      ? `This page came over https and must not use the gateway at ${url}: let the gateway use https.`
      : `The token of the gateway at ${url} is missing: enter it to use kernels.`;
  }
}
