/* The client of the kernels REST API: routes each request to a gateway or to the notebook server. */

import { Kernel, KernelAPI, ServerConnection, SessionAPI } from '@jupyterlab/services';

import { BrowserGateways } from '../browser/registry';
import { isUnavailable, retryWhileUnavailable } from '../retry';
import { serverHasKernels } from '../server/config';

const MAX_RETRY_DELAY = 4000; // milliseconds

export class RoutingKernelClient implements Kernel.IKernelAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways,
    /** Whether a connection of this page to a kernel is not open. */
    private readonly _isDisconnected: (id: string) => boolean
  ) {}

  /** Gateways list no kernels, or those of other users too; so each kernel is requested. */
  async listRunning(): Promise<Kernel.IModel[]> {
    const models = await Promise.all(
      (await this._knownToServer()).map(model => this.current(model))
    );
    return models.filter(model => model !== undefined);
  }

  /**
   * The model of a kernel, which JupyterLab requests before it reconnects a WebSocket that failed.
   *
   * To JupyterLab an error means that the kernel is dead, or that it should retry in 10 to 30 seconds,
   * and it would reconnect even a connection that is open again. So this resolves when there is an
   * answer, and only while the connection is not open.
   */
  async getModel(id: string): Promise<Kernel.IModel | undefined> {
    const request = async () => (this._isDisconnected(id) ? this._request(id) : undefined);
    const model = await retryWhileUnavailable(request, {
      isUnavailable,
      maxDelay: MAX_RETRY_DELAY
    });
    return this._isDisconnected(id) ? model : new Promise(() => undefined);
  }

  /**
   * The current model of a kernel, from its gateway: undefined if the kernel is gone, and the notebook
   * server's model if the gateway is unavailable.
   */
  async current(model: Kernel.IModel): Promise<Kernel.IModel | undefined> {
    const gateway = this._gateways.record(model);
    if (!gateway) {
      return model;
    }
    const current = await gateway.kernel(model.id).catch(() => model);
    this._models.set(model.id, current);
    return current;
  }

  /**
   * The model as of the last request. The list of sessions must not wait: the page in which a new
   * notebook is chosen has only a moment for it before it leaves that to another tab.
   */
  async lastKnown(model: Kernel.IModel): Promise<Kernel.IModel | undefined> {
    return this._models.has(model.id) ? this._models.get(model.id) : this.current(model);
  }

  async startNew(options: Kernel.IKernelOptions = {}): Promise<Kernel.IModel> {
    const gateway = this._gateways.forKernelspec(options.name);
    const model = gateway
      ? await gateway.start(options)
      : await KernelAPI.startNew(options, this.serverSettings);
    this._gateways.record(model);
    return model;
  }

  async restart(id: string): Promise<void> {
    const gateway = await this._gateways.forKernel(id);
    return gateway ? gateway.restart(id) : KernelAPI.restartKernel(id, this.serverSettings);
  }

  async interrupt(id: string): Promise<void> {
    const gateway = await this._gateways.forKernel(id);
    return gateway ? gateway.interrupt(id) : KernelAPI.interruptKernel(id, this.serverSettings);
  }

  async shutdown(id: string): Promise<void> {
    const gateway = await this._gateways.forKernel(id);
    return gateway ? gateway.shutdown(id) : KernelAPI.shutdownKernel(id, this.serverSettings);
  }

  private async _request(id: string): Promise<Kernel.IModel | undefined> {
    const gateway = await this._gateways.forKernel(id);
    return gateway ? gateway.kernel(id) : KernelAPI.getKernelModel(id, this.serverSettings);
  }

  /** The kernels that the notebook server lists; in browser mode, those of its sessions. */
  private async _knownToServer(): Promise<Kernel.IModel[]> {
    if (serverHasKernels()) {
      return KernelAPI.listRunning(this.serverSettings);
    }
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const kernels = sessions.flatMap(({ kernel }) => kernel ?? []);
    return [...new Map(kernels.map(kernel => [kernel.id, kernel])).values()];
  }

  private readonly _models = new Map<string, Kernel.IModel | undefined>(); // by kernel id
}
