/* The gateways that the page deals with by itself, and which kernels are on them. */

import { Kernel, ServerConnection, SessionAPI } from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { backends, browserBackends } from '../server/config';
import { Ask } from './credentials';
import { BrowserGateway } from './gateway';

export const IBrowserGateways = new Token<BrowserGateways>(
  'notebook-remote:IBrowserGateways',
  'The gateways that the page deals with by itself, in browser mode.'
);

export class BrowserGateways {
  constructor(private readonly _server: ServerConnection.ISettings) {
    this._made = browserBackends().map(backend => new BrowserGateway(backend, _server));
    for (const { credentials } of this._made) {
      credentials.obtained.connect(() => this._signedIn.emit());
    }
  }

  /** Emitted when the user has entered the token of one. */
  get signedIn(): ISignal<this, void> {
    return this._signedIn;
  }

  /** Those that were not removed while the page is open. */
  all(): BrowserGateway[] {
    const names = backends().map(({ name }) => name);
    return this._made.filter(({ backend }) => names.includes(backend.name));
  }

  /** The only backend, if it is one of these. */
  get alone(): BrowserGateway | undefined {
    return backends().length === 1 ? this.all()[0] : undefined;
  }

  get(name: string): BrowserGateway | undefined {
    return this.all().find(({ backend }) => backend.name === name);
  }

  /** Say how to ask the user for a token; until then nobody is asked. */
  askBy(ask: Ask): void {
    this._made.forEach(({ credentials }) => credentials.askBy(ask));
  }

  /** Where a kernel of this kernelspec is started; undefined: by the notebook server. */
  ofSpec(name: string | undefined): BrowserGateway | undefined {
    return this.alone ?? this.get(/@([^@]*)$/.exec(name ?? '')?.[1] ?? '');
  }

  /** Where a kernel runs; undefined: the notebook server knows. */
  async ofKernel(id: string): Promise<BrowserGateway | undefined> {
    if (this._made.length && !this._kernels.has(id)) {
      const sessions = await SessionAPI.listRunning(this._server);
      sessions.forEach(({ kernel }) => kernel && this.note(kernel));
    }
    return this._kernels.get(id);
  }

  /** Note where a kernel runs, as its model says. */
  note(model: Kernel.IModel): BrowserGateway | undefined {
    const { backend, mode } = model as { backend?: string; mode?: string };
    const gateway = mode === 'browser' ? this.get(backend ?? '') : undefined;
    this._kernels.set(model.id, gateway);
    return gateway;
  }

  private readonly _made: BrowserGateway[];
  private readonly _kernels = new Map<string, BrowserGateway | undefined>();
  private readonly _signedIn = new Signal<this, void>(this);
}
