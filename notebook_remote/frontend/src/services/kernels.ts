/* Kernels wherever they run: what concerns one goes to its gateway or to the notebook server. */

import { Kernel, KernelAPI, ServerConnection, SessionAPI } from '@jupyterlab/services';

import { servedHere } from '../server/config';
import { BrowserGateways } from '../browser/registry';
import { isAway, untilThere } from '../retry';

const LONGEST_PAUSE = 4000; // milliseconds before a kernel is asked for again

export class RoutedKernels implements Kernel.IKernelAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways,
    /** Whether a connection of this page to a kernel is not open. */
    private readonly _isAwaited: (id: string) => boolean
  ) {}

  /** Gateways list no kernels, or those of others as well; so each of ours is asked for. */
  async listRunning(): Promise<Kernel.IModel[]> {
    const models = await Promise.all((await this._ours()).map(model => this.now(model)));
    return models.filter(model => model !== undefined);
  }

  /**
   * Asked by each connection whose socket did not open, before it opens another. It would take no
   * answer for a death, or ask again in 10 to 30 seconds only, and then connect even if it has
   * done so meanwhile; so this answers when there is an answer, to a connection that needs one.
   */
  async getModel(id: string): Promise<Kernel.IModel | undefined> {
    const ask = async () => (this._isAwaited(id) ? this._model(id) : undefined);
    const model = await untilThere(ask, { isAway, longestPause: LONGEST_PAUSE });
    return this._isAwaited(id) ? model : new Promise(() => undefined);
  }

  private async _model(id: string): Promise<Kernel.IModel | undefined> {
    const gateway = await this._gateways.ofKernel(id);
    return gateway ? gateway.kernel(id) : KernelAPI.getKernelModel(id, this.serverSettings);
  }

  /**
   * A kernel that the notebook server tells of, as its gateway says it is now: undefined if it is
   * gone, and what the server says if the gateway cannot be asked.
   */
  async now(model: Kernel.IModel): Promise<Kernel.IModel | undefined> {
    const gateway = this._gateways.note(model);
    if (!gateway) {
      return model;
    }
    const now = await gateway.kernel(model.id).catch(() => model);
    this._last.set(model.id, now);
    return now;
  }

  /**
   * The same as of when it was last asked. The list of sessions must not wait: the page in which a
   * new notebook is chosen has no more than a moment for it before it leaves that to another tab.
   */
  async last(model: Kernel.IModel): Promise<Kernel.IModel | undefined> {
    return this._last.has(model.id) ? this._last.get(model.id) : this.now(model);
  }

  async startNew(options: Kernel.IKernelOptions = {}): Promise<Kernel.IModel> {
    const gateway = this._gateways.ofSpec(options.name);
    const model = gateway
      ? await gateway.start(options)
      : await KernelAPI.startNew(options, this.serverSettings);
    this._gateways.note(model);
    return model;
  }

  async restart(id: string): Promise<void> {
    const gateway = await this._gateways.ofKernel(id);
    return gateway ? gateway.restart(id) : KernelAPI.restartKernel(id, this.serverSettings);
  }

  async interrupt(id: string): Promise<void> {
    const gateway = await this._gateways.ofKernel(id);
    return gateway ? gateway.interrupt(id) : KernelAPI.interruptKernel(id, this.serverSettings);
  }

  async shutdown(id: string): Promise<void> {
    const gateway = await this._gateways.ofKernel(id);
    return gateway ? gateway.shutdown(id) : KernelAPI.shutdownKernel(id, this.serverSettings);
  }

  /** Where pages alone run kernels, the notebook server is asked for sessions only. */
  private async _ours(): Promise<Kernel.IModel[]> {
    if (servedHere()) {
      return KernelAPI.listRunning(this.serverSettings);
    }
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const kernels = sessions.flatMap(({ kernel }) => kernel ?? []);
    return [...new Map(kernels.map(kernel => [kernel.id, kernel])).values()];
  }

  private readonly _last = new Map<string, Kernel.IModel | undefined>();
}
