/* A gateway in browser mode: kernelspecs, kernels and channels, requested by the page itself. */

import {
  Kernel,
  KernelAPI,
  KernelSpec,
  KernelSpecAPI,
  ServerConnection
} from '@jupyterlab/services';

import { EndpointsUnavailable, IEndpoints, IKernelChannels } from '../channels/endpoints';
import { qualifyName, splitName } from '../kernelspecNames';
import { backends, IBrowserBackend } from '../server/config';
import { Credentials, NoCredential } from './credentials';
import { channelsUrl, routeOf, sendRequest } from './requests';

const CHANNELS_PROTOCOL = 'v1.kernel.websocket.jupyter.org';
const SERVICE_UNAVAILABLE = 503; // JupyterLab retries later

// Milliseconds that a list waits for a gateway. The next list has what comes later.
const LIST_TIMEOUT = 2000;
const LIST_TIMEOUT_WHEN_UNREACHABLE = 200;

export class BrowserGateway {
  constructor(
    readonly backend: IBrowserBackend,
    server: ServerConnection.ISettings
  ) {
    this.credentials = new Credentials(backend);
    this.settings = this._makeSettings(server, false);
    this._quietSettings = this._makeSettings(server, true);
  }

  readonly credentials: Credentials;

  /** Settings for JupyterLab's REST clients. The user may be asked for the token. */
  readonly settings: ServerConnection.ISettings;

  /** The name that the page uses for a kernelspec: the same as the notebook server's. */
  publicName(kernelspec: string): string {
    return backends().length > 1 ? qualifyName(kernelspec, this.backend.name) : kernelspec;
  }

  /** The kernelspecs under the gateway's own names. If `quiet`, the user is not asked for a token. */
  kernelspecs(quiet: boolean): Promise<KernelSpec.ISpecModels> {
    return KernelSpecAPI.getSpecs(quiet ? this._quietSettings : this.settings);
  }

  /** A kernel; undefined if it does not exist. The user is not asked for a token. */
  async kernel(id: string): Promise<Kernel.IModel | undefined> {
    const model = await KernelAPI.getKernelModel(id, this._quietSettings);
    return model && this._publicModel(model);
  }

  /** Start a kernel of a kernelspec that has the page's name. */
  async start({ name, path }: { name?: string; path?: string }): Promise<Kernel.IModel> {
    const { env } = this.backend;
    const options = {
      name: this._ownName(name),
      path,
      ...(Object.keys(env).length ? { env } : {})
    };
    return this._publicModel(await KernelAPI.startNew(options, this._interactiveSettings));
  }

  async restart(id: string): Promise<void> {
    await KernelAPI.restartKernel(id, this._interactiveSettings);
  }

  interrupt(id: string): Promise<void> {
    return KernelAPI.interruptKernel(id, this._interactiveSettings);
  }

  shutdown(id: string): Promise<void> {
    return KernelAPI.shutdownKernel(id, this._interactiveSettings);
  }

  /** The only endpoint of a kernel's channels, with a ticket that is valid for one WebSocket. */
  async endpoints(channels: IKernelChannels, signal: AbortSignal): Promise<IEndpoints> {
    const { kernelId, sessionId } = channels;
    const query = new URLSearchParams({ session_id: sessionId });
    const { token } = await this.credentials.get();
    if (token) {
      query.set('token', token);
    } else {
      const { param, ticket } = await this._requestTicket(channels, signal);
      query.set(param, ticket);
    }
    return {
      backend: this.backend.name,
      endpoints: [
        {
          kind: 'direct',
          url: channelsUrl(this.backend, kernelId, query),
          base: this.backend.url,
          protocols: [CHANNELS_PROTOCOL],
          reachable: !token // it has just issued a ticket
        }
      ]
    };
  }

  private async _requestTicket(
    { kernelId, sessionId }: IKernelChannels,
    signal: AbortSignal
  ): Promise<{ param: string; ticket: string }> {
    const route = `kernels/${kernelId}/channels/ticket`;
    const body = JSON.stringify({ session_id: sessionId });
    const response = await this._send(route, { method: 'POST', body, signal }).catch(error => {
      throw new EndpointsUnavailable(this._errorMessage(error));
    });
    const answer = (await response.json()) as { param: string; ticket: string; message?: string };
    if (!response.ok) {
      throw new Error(answer.message || response.statusText);
    }
    return answer;
  }

  /** The gateway's own name for a kernelspec; undefined means its default. */
  private _ownName(name = ''): string | undefined {
    const { kernelspec, backend } = splitName(name);
    return backend === this.backend.name ? kernelspec : name || undefined;
  }

  /** Settings for an action of the user, who may have closed the dialog for the token before. */
  private get _interactiveSettings(): ServerConnection.ISettings {
    this.credentials.allowPrompt();
    return this.settings;
  }

  /** The model of a kernel as the notebook server would return it. */
  private _publicModel(model: Kernel.IModel): Kernel.IModel {
    const { name: backend, mode } = this.backend;
    const location = { backend, mode };
    return { ...model, name: this.publicName(model.name), ...location };
  }

  private _makeSettings(
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

  /** A `fetch` for JupyterLab's clients. If the gateway does not answer, the response is a 503. */
  private async _fetch(request: Request, quiet: boolean): Promise<Response> {
    const { method } = request;
    const route = routeOf(this.backend, request.url);
    const body = method === 'GET' ? undefined : await request.text();
    const timeout = this._unreachable ? LIST_TIMEOUT_WHEN_UNREACHABLE : LIST_TIMEOUT;
    const signal = quiet ? AbortSignal.timeout(LIST_TIMEOUT) : request.signal;
    try {
      const response = this._send(route, { method, body, signal }, quiet);
      return await (quiet ? Promise.race([response, rejectAfter(timeout)]) : response);
    } catch (error) {
      this._unreachable = !(error instanceof NoCredential);
      if (request.signal.aborted) {
        throw error;
      }
      const message = this._errorMessage(error);
      return new Response(JSON.stringify({ message }), { status: SERVICE_UNAVAILABLE });
    }
  }

  private async _send(route: string, init: RequestInit, quiet = false): Promise<Response> {
    const credential = await this.credentials.get(quiet);
    const response = await sendRequest(this.backend, route, init, credential);
    this._unreachable = false;
    if (response.status !== 401) {
      return response;
    }
    this.credentials.discard(credential); // a pass expires, or the gateway was restarted
    return sendRequest(this.backend, route, init, await this.credentials.get(quiet));
  }

  private _errorMessage(error: unknown): string {
    const { url } = this.backend;
    if (!(error instanceof NoCredential)) {
      return `This page does not reach the gateway at ${url}: check that it runs, and open it in a new tab, where the browser says what is wrong.`;
    }
    return error.problem === 'insecure'
      ? `This page was loaded over https and must not use the gateway at ${url}: let the gateway use https.`
      : `The token of the gateway at ${url} is missing: enter it to use kernels.`;
  }

  private readonly _quietSettings: ServerConnection.ISettings;
  private _unreachable = false; // as of the last request
}

function rejectAfter(milliseconds: number): Promise<never> {
  return new Promise((_, reject) => window.setTimeout(reject, milliseconds, new Error('timeout')));
}
