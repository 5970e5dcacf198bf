/* The gateways in browser mode, and which kernels run on them. */

import { Kernel, ServerConnection, SessionAPI } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import { splitName } from '../kernelspecNames';
import { backends, browserBackends } from '../server/config';
import { TokenPrompt } from './credentials';
import { BrowserGateway } from './gateway';

export class BrowserGateways {
  constructor(private readonly _server: ServerConnection.ISettings) {
    this._gateways = browserBackends().map(backend => new BrowserGateway(backend, _server));
    for (const { credentials } of this._gateways) {
      credentials.signedIn.connect(() => this._signedIn.emit());
    }
  }

  /** Emitted when the user has signed in to a gateway. */
  get signedIn(): ISignal<this, void> {
    return this._signedIn;
  }

  /** The gateways that were not removed since the page was loaded. */
  all(): BrowserGateway[] {
    const names = backends().map(({ name }) => name);
    return this._gateways.filter(({ backend }) => names.includes(backend.name));
  }

  /** The gateway that is the only backend; undefined if there are others, or it is not one of these. */
  get only(): BrowserGateway | undefined {
    return backends().length === 1 ? this.all()[0] : undefined;
  }

  get(name: string): BrowserGateway | undefined {
    return this.all().find(({ backend }) => backend.name === name);
  }

  /** Set how the user is asked for tokens. */
  setPrompt(prompt: TokenPrompt): void {
    this._gateways.forEach(({ credentials }) => credentials.setPrompt(prompt));
  }

  /** The gateway that a kernelspec name refers to; undefined means the notebook server. */
  forKernelspec(name = ''): BrowserGateway | undefined {
    return this.only ?? this.get(splitName(name).backend ?? '');
  }

  /** The gateway on which a kernel runs; undefined means the notebook server. */
  async forKernel(id: string): Promise<BrowserGateway | undefined> {
    if (this._gateways.length && !this._kernels.has(id)) {
      const sessions = await SessionAPI.listRunning(this._server);
      sessions.forEach(({ kernel }) => kernel && this.record(kernel));
    }
    return this._kernels.get(id);
  }

  /** Record and return the gateway that the model of a kernel names. */
  record(model: Kernel.IModel): BrowserGateway | undefined {
    const { backend, mode } = model as { backend?: string; mode?: string };
    const gateway = mode === 'browser' ? this.get(backend ?? '') : undefined;
    this._kernels.set(model.id, gateway);
    return gateway;
  }

  private readonly _gateways: BrowserGateway[];
  private readonly _kernels = new Map<string, BrowserGateway | undefined>(); // by kernel id
  private readonly _signedIn = new Signal<this, void>(this);
}
