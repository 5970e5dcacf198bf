/*
 * Browser mode: kernels are started and used at the gateway, and the notebook server keeps which
 * document uses which kernel. A kernel is gone if the gateway says so, asked for that very kernel.
 */

import { PathExt } from '@jupyterlab/coreutils';
import { Kernel, KernelAPI, ServerConnection, Session, SessionAPI } from '@jupyterlab/services';

import { IBrowserBackend } from './config';

/** The kernels of this notebook server's sessions, at the gateway. */
export class GatewayKernels implements Kernel.IKernelAPIClient {
  constructor(
    private readonly _backend: IBrowserBackend,
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _server: ServerConnection.ISettings
  ) {}

  /** Stock gateways list no kernels, or those of others as well; so each of ours is asked for. */
  async listRunning(): Promise<Kernel.IModel[]> {
    const sessions = await SessionAPI.listRunning(this._server);
    const ids = new Set(sessions.map(({ kernel }) => kernel?.id ?? ''));
    ids.delete('');
    const models = await Promise.all([...ids].map(id => this.getModel(id)));
    return models.filter(model => model !== undefined);
  }

  getModel(id: string): Promise<Kernel.IModel | undefined> {
    return KernelAPI.getKernelModel(id, this.serverSettings);
  }

  startNew({ name, path }: { name?: string; path?: string } = {}): Promise<Kernel.IModel> {
    const { env } = this._backend;
    const options = { name, path, ...(Object.keys(env).length ? { env } : {}) };
    return KernelAPI.startNew(options, this.serverSettings);
  }

  async restart(id: string): Promise<void> {
    await KernelAPI.restartKernel(id, this.serverSettings);
  }

  interrupt(id: string): Promise<void> {
    return KernelAPI.interruptKernel(id, this.serverSettings);
  }

  shutdown(id: string): Promise<void> {
    return KernelAPI.shutdownKernel(id, this.serverSettings);
  }
}

/** The sessions at the notebook server, with the kernels that this page starts and ends for them. */
export class ReportedSessions implements Session.ISessionAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _kernels: GatewayKernels
  ) {}

  async listRunning(): Promise<Session.IModel[]> {
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const known = await Promise.all(sessions.map(session => this._withKernel(session)));
    return known.filter(session => session !== null);
  }

  async getModel(id: string): Promise<Session.IModel> {
    const session = await SessionAPI.getSessionModel(id, this.serverSettings);
    return (await this._withKernel(session)) ?? session;
  }

  async startNew(options: Session.ISessionOptions): Promise<Session.IModel> {
    const { name, id } = (options.kernel ?? {}) as Partial<Kernel.IModel>;
    if (id) {
      return SessionAPI.startSession(options, this.serverSettings);
    }
    return this._start(name, options.path, kernel =>
      SessionAPI.startSession({ ...options, kernel }, this.serverSettings)
    );
  }

  async update(
    model: Parameters<Session.ISessionAPIClient['update']>[0]
  ): Promise<Session.IModel> {
    const { name, id } = (model.kernel ?? {}) as Partial<Kernel.IModel>;
    if (!name || id) {
      return SessionAPI.updateSession(model, this.serverSettings);
    }
    const before = await SessionAPI.getSessionModel(model.id, this.serverSettings);
    const after = await this._start(name, before.path, kernel =>
      SessionAPI.updateSession({ ...model, kernel }, this.serverSettings)
    );
    await this._end(before);
    return after;
  }

  async shutdown(id: string): Promise<void> {
    await this._end(await SessionAPI.getSessionModel(id, this.serverSettings));
    await SessionAPI.shutdownSession(id, this.serverSettings);
  }

  /** Start a kernel and have it recorded; if that fails, or is not needed, it is shut down. */
  private async _start(
    name: string | undefined,
    path: string,
    record: (kernel: { id: string; name: string }) => Promise<Session.IModel>
  ): Promise<Session.IModel> {
    const kernel = await this._kernels.startNew({ name, path: PathExt.dirname(path) });
    let session: Session.IModel | null = null;
    try {
      session = await record({ id: kernel.id, name: kernel.name });
    } finally {
      if (session?.kernel?.id !== kernel.id) {
        await this._kernels.shutdown(kernel.id); // another page has started one at this moment
      }
    }
    return (await this._withKernel(session)) ?? session;
  }

  /** Shut a session's kernel down, unless another session uses it. */
  private async _end({ id, kernel }: Session.IModel): Promise<void> {
    const sessions = await SessionAPI.listRunning(this.serverSettings);
    const shared = sessions.some(other => other.id !== id && other.kernel?.id === kernel?.id);
    if (kernel && !shared) {
      await this._kernels.shutdown(kernel.id);
    }
  }

  /** The session with what the gateway says of its kernel; null, and no more kept, if it is gone. */
  private async _withKernel(session: Session.IModel): Promise<Session.IModel | null> {
    if (!session.kernel) {
      return session;
    }
    let kernel: Kernel.IModel | undefined;
    try {
      kernel = await this._kernels.getModel(session.kernel.id);
    } catch {
      return session; // how it is cannot be known now
    }
    if (kernel === undefined) {
      await SessionAPI.shutdownSession(session.id, this.serverSettings);
      return null;
    }
    return { ...session, kernel };
  }
}
