/* A gateway that the page deals with by itself: browser mode. */

import {
  Kernel,
  KernelAPI,
  KernelSpec,
  KernelSpecAPI,
  ServerConnection
} from '@jupyterlab/services';

import { backends, IBrowserBackend } from '../server/config';
import { Credentials, NoProof, send } from './credentials';
import { Away, IAnswer, ITarget } from '../channels/endpoints';

const V1 = 'v1.kernel.websocket.jupyter.org';
const GIVE_UP = 503; // the status by which JupyterLab asks again later
// Milliseconds that a list waits for it; what it says later is in the next one.
const PATIENCE = 2000;
const PATIENCE_WHEN_AWAY = 200;

export class BrowserGateway {
  constructor(
    readonly backend: IBrowserBackend,
    server: ServerConnection.ISettings
  ) {
    this.credentials = new Credentials(backend);
    this.settings = this._settings(server, false);
    this._quiet = this._settings(server, true);
  }

  readonly credentials: Credentials;

  /** By which stock REST clients ask it; the user may be asked for the token. */
  readonly settings: ServerConnection.ISettings;

  /** What the page calls a kernelspec that the gateway calls `own`, as the server would. */
  publicName(own: string): string {
    return backends().length > 1 ? own + this._suffix : own;
  }

  /** Its kernelspecs, under its own names. A list of several backends asks nobody for a token. */
  specs(quiet: boolean): Promise<KernelSpec.ISpecModels> {
    return KernelSpecAPI.getSpecs(quiet ? this._quiet : this.settings);
  }

  /** A kernel; undefined if it is gone. For lists too, so nobody is asked for a token. */
  async kernel(id: string): Promise<Kernel.IModel | undefined> {
    const model = await KernelAPI.getKernelModel(id, this._quiet);
    return model && this._told(model);
  }

  /** Start a kernel, whose kernelspec is called as the page knows it. */
  async start({ name, path }: { name?: string; path?: string }): Promise<Kernel.IModel> {
    const { env } = this.backend;
    const own = name?.endsWith(this._suffix) ? name.slice(0, -this._suffix.length) : name;
    const options = { name: own, path, ...(Object.keys(env).length ? { env } : {}) };
    return this._told(await KernelAPI.startNew(options, this._wanted));
  }

  async restart(id: string): Promise<void> {
    await KernelAPI.restartKernel(id, this._wanted);
  }

  interrupt(id: string): Promise<void> {
    return KernelAPI.interruptKernel(id, this._wanted);
  }

  shutdown(id: string): Promise<void> {
    return KernelAPI.shutdownKernel(id, this._wanted);
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
    const place = { url, base: this.backend.url, protocols: [V1], answers: !proof.token };
    return { backend: name, places: [{ kind: 'direct', ...place }] };
  }

  private get _suffix(): string {
    return `@${this.backend.name}`;
  }

  /** For what a user has just asked for, who may have declined to enter the token before. */
  private get _wanted(): ServerConnection.ISettings {
    this.credentials.askAgain();
    return this.settings;
  }

  /** A kernel as the server would tell of it. */
  private _told(model: Kernel.IModel): Kernel.IModel {
    const { name: backend, mode } = this.backend;
    const where = { backend, mode };
    return { ...model, name: this.publicName(model.name), ...where };
  }

  private _settings(
    server: ServerConnection.ISettings,
    quiet: boolean
  ): ServerConnection.ISettings {
    const { url, ws_url } = this.backend;
    return {
      ...server,
      baseUrl: `${url}/`,
      wsUrl: `${ws_url}/`,
      token: '',
      appendToken: false,
      fetch: (input: RequestInfo | URL, init?: RequestInit) =>
        this._fetch(new Request(input, init), quiet)
    };
  }

  /** What the stock clients have for `fetch`; answers always, if need be with a 503 of our own. */
  private async _fetch(request: Request, quiet: boolean): Promise<Response> {
    const { method } = request;
    const route = request.url.slice(`${this.backend.url}/api/`.length).replace(/\?.*/, '');
    const body = method === 'GET' ? undefined : await request.text();
    const patience = this._away ? PATIENCE_WHEN_AWAY : PATIENCE;
    const signal = quiet ? AbortSignal.timeout(PATIENCE) : request.signal;
    try {
      const answer = this._ask(route, { method, body, signal }, quiet);
      return await (quiet ? Promise.race([answer, tooLate(patience)]) : answer);
    } catch (error) {
      this._away = !(error instanceof NoProof);
      if (request.signal.aborted) {
        throw error;
      }
      return new Response(JSON.stringify({ message: this._sentence(error) }), { status: GIVE_UP });
    }
  }

  private async _ask(route: string, init: RequestInit, quiet = false): Promise<Response> {
    const proof = await this.credentials.get(quiet);
    const response = await send(this.backend, route, init, proof);
    this._away = false;
    if (response.status !== 401) {
      return response;
    }
    this.credentials.refused(proof); // a pass expires, or the gateway was restarted
    return send(this.backend, route, init, await this.credentials.get(quiet));
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

  private readonly _quiet: ServerConnection.ISettings;
  private _away = false;
}

function tooLate(milliseconds: number): Promise<never> {
  return new Promise((_, reject) => window.setTimeout(reject, milliseconds, new Error('too late')));
}
