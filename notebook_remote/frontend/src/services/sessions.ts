/*
 * The client of the sessions REST API. The notebook server records sessions: which document uses
 * which kernel. Kernels of gateways in browser mode are started and shut down by the page, which
 * reports them. Such a kernel is gone if its gateway does not have it any more.
 */

import { PathExt } from '@jupyterlab/coreutils';
import { Kernel, ServerConnection, Session, SessionAPI } from '@jupyterlab/services';

import { BrowserGateways } from '../browser/registry';
import { RoutingKernelClient } from './kernels';
import { isTreePage, notebookPath, takePendingKernel } from './pendingKernel';

export class RoutingSessionClient implements Session.ISessionAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways,
    private readonly _kernels: RoutingKernelClient
  ) {}

  async listRunning(): Promise<Session.IModel[]> {
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const alive = await Promise.all(
      sessions.map(session => this._withKernel(session, model => this._kernels.lastKnown(model)))
    );
    return alive.filter(session => session !== null);
  }

  async getModel(id: string): Promise<Session.IModel> {
    const session = await SessionAPI.getSessionModel(id, this.serverSettings);
    return (await this._withKernel(session)) ?? session;
  }

  async startNew(options: Session.ISessionOptions): Promise<Session.IModel> {
    const { type } = options;
    const chosen: Partial<Kernel.IModel> | undefined = options.kernel;
    if (type === 'notebook' && chosen?.name && !chosen.id) {
      if (isTreePage()) {
        return new Promise(() => undefined); // the notebook's tab starts the kernel
      }
      const name = takePendingKernel(notebookPath(options)) ?? chosen.name;
      options = { ...options, kernel: { ...chosen, name } };
    }
    return this._withNewKernel(options.kernel, options.path, kernel =>
      SessionAPI.startSession({ ...options, kernel }, this.serverSettings)
    );
  }

  async update(model: Parameters<Session.ISessionAPIClient['update']>[0]): Promise<Session.IModel> {
    if (!model.kernel || !this._gateways.all().length) {
      return SessionAPI.updateSession(model, this.serverSettings);
    }
    const before = await SessionAPI.getSessionModel(model.id, this.serverSettings);
    const after = await this._withNewKernel(model.kernel, before.path, kernel =>
      SessionAPI.updateSession({ ...model, kernel }, this.serverSettings)
    );
    if (after.kernel?.id !== before.kernel?.id) {
      await this._shutDownKernel(before);
    }
    return after;
  }

  async shutdown(id: string): Promise<void> {
    if (!this._gateways.all().length) {
      return SessionAPI.shutdownSession(id, this.serverSettings);
    }
    await this._shutDownKernel(await SessionAPI.getSessionModel(id, this.serverSettings));
    await SessionAPI.shutdownSession(id, this.serverSettings);
  }

  /**
   * Have the server record a session. If its kernel runs in browser mode the page starts it first, and
   * shuts it down again if the server does not record it.
   */
  private async _withNewKernel(
    requested: Session.ISessionOptions['kernel'],
    path: string,
    record: (kernel: Session.ISessionOptions['kernel']) => Promise<Session.IModel>
  ): Promise<Session.IModel> {
    const { name, id } = (requested ?? {}) as Partial<Kernel.IModel>;
    const gateway = id ? undefined : this._gateways.forKernelspec(name);
    const kernel = gateway && (await gateway.start({ name, path: PathExt.dirname(path) }));
    const started = kernel && { id: kernel.id, name: kernel.name };
    let session: Session.IModel | null = null;
    try {
      session = await record(started ?? requested);
    } finally {
      if (kernel && session?.kernel?.id !== kernel.id) {
        await gateway.shutdown(kernel.id); // another page has started one at the same time
      }
    }
    return (await this._withKernel(session)) ?? session;
  }

  /** Shut down a session's kernel if it runs in browser mode and no other session uses it. */
  private async _shutDownKernel({ id, kernel }: Session.IModel): Promise<void> {
    const gateway = kernel && this._gateways.record(kernel);
    if (gateway) {
      const sessions = await SessionAPI.listRunning(this.serverSettings);
      if (!sessions.some(other => other.id !== id && other.kernel?.id === kernel.id)) {
        await gateway.shutdown(kernel.id);
      }
    }
  }

  /** The session with the model of its kernel. If the kernel is gone: null, and the session ends. */
  private async _withKernel(
    session: Session.IModel,
    request = (model: Kernel.IModel) => this._kernels.current(model)
  ): Promise<Session.IModel | null> {
    if (!session.kernel) {
      return session;
    }
    const kernel = await request(session.kernel);
    if (kernel === undefined) {
      await SessionAPI.shutdownSession(session.id, this.serverSettings);
      return null;
    }
    return { ...session, kernel };
  }
}
