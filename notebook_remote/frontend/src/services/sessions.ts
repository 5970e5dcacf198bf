/*
 * Sessions are the notebook server's: which document uses which kernel. The kernels of gateways in
 * browser mode are started and ended by the page, which reports them. Such a kernel is gone if its
 * gateway says so, asked for that very kernel.
 */

import { PathExt } from '@jupyterlab/coreutils';
import { Kernel, ServerConnection, Session, SessionAPI } from '@jupyterlab/services';

import { BrowserGateways } from '../browser/registry';
import { RoutedKernels } from './kernels';
import { documentOf, opensTabs, takeWanted } from './pendingKernel';

export class RoutedSessions implements Session.ISessionAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways,
    private readonly _kernels: RoutedKernels
  ) {}

  async listRunning(): Promise<Session.IModel[]> {
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const known = await Promise.all(
      sessions.map(session => this._withKernel(session, model => this._kernels.last(model)))
    );
    return known.filter(session => session !== null);
  }

  async getModel(id: string): Promise<Session.IModel> {
    const session = await SessionAPI.getSessionModel(id, this.serverSettings);
    return (await this._withKernel(session)) ?? session;
  }

  async startNew(options: Session.ISessionOptions): Promise<Session.IModel> {
    const { type } = options;
    const chosen = options.kernel as Partial<Kernel.IModel> | undefined;
    if (type === 'notebook' && chosen?.name && !chosen.id) {
      if (opensTabs()) {
        return new Promise(() => undefined); // this page's part in it is over
      }
      const name = takeWanted(documentOf(options)) ?? chosen.name;
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
      await this._end(before);
    }
    return after;
  }

  async shutdown(id: string): Promise<void> {
    if (!this._gateways.all().length) {
      return SessionAPI.shutdownSession(id, this.serverSettings);
    }
    await this._end(await SessionAPI.getSessionModel(id, this.serverSettings));
    await SessionAPI.shutdownSession(id, this.serverSettings);
  }

  /**
   * Have the server record a session with the kernel that is wanted for it. One of browser mode is
   * started first; if it is not recorded, or not needed, it is shut down.
   */
  private async _withNewKernel(
    wanted: Session.ISessionOptions['kernel'],
    path: string,
    record: (kernel: Session.ISessionOptions['kernel']) => Promise<Session.IModel>
  ): Promise<Session.IModel> {
    const { name, id } = (wanted ?? {}) as Partial<Kernel.IModel>;
    const gateway = id ? undefined : this._gateways.ofSpec(name);
    const kernel = gateway && (await gateway.start({ name, path: PathExt.dirname(path) }));
    const reported = kernel && { id: kernel.id, name: kernel.name };
    let session: Session.IModel | null = null;
    try {
      session = await record(reported ?? wanted);
    } finally {
      if (kernel && session?.kernel?.id !== kernel.id) {
        await gateway.shutdown(kernel.id); // another page has started one at this moment
      }
    }
    return (await this._withKernel(session)) ?? session;
  }

  /** Shut a session's kernel down if only pages can, unless another session uses it. */
  private async _end({ id, kernel }: Session.IModel): Promise<void> {
    const gateway = kernel && this._gateways.note(kernel);
    if (gateway) {
      const sessions = await SessionAPI.listRunning(this.serverSettings);
      if (!sessions.some(other => other.id !== id && other.kernel?.id === kernel.id)) {
        await gateway.shutdown(kernel.id);
      }
    }
  }

  /** The session with what is known of its kernel; null, and no more kept, if it is gone. */
  private async _withKernel(
    session: Session.IModel,
    ask = (model: Kernel.IModel) => this._kernels.now(model)
  ): Promise<Session.IModel | null> {
    if (!session.kernel) {
      return session;
    }
    const kernel = await ask(session.kernel);
    if (kernel === undefined) {
      await SessionAPI.shutdownSession(session.id, this.serverSettings);
      return null;
    }
    return { ...session, kernel };
  }
}
