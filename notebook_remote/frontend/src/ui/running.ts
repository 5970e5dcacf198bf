/* A section of the Running page: each backend, and the kernels of this server on it. */

import { IRunningSessions } from '@jupyterlab/running';
import { Kernel, KernelSpec, ServerConnection, Session } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { kernelIcon } from '@jupyterlab/ui-components';
import { ISignal, Signal } from '@lumino/signaling';

import { ask, IOurKernel, IOurKernels, NO_ACTIVITY } from '../server/api';
import { backends, IBackend } from '../server/config';

const WORTH_A_WORD = ['direct', 'browser']; // of the modes

export interface IGatewaysRunningOptions {
  kernels: Kernel.IManager;
  sessions: Session.IManager;
  kernelspecs: KernelSpec.IManager;
  settings: ServerConnection.ISettings;
  trans: TranslationBundle;
  /** Open a new notebook with a kernel that has none. */
  adopt: (kernelId: string) => Promise<void>;
}

export class GatewaysRunning implements IRunningSessions.IManager {
  constructor(private readonly _options: IGatewaysRunningOptions) {
    const { kernels, sessions, trans } = _options;
    this.name = trans.__('Gateways');
    this.shutdownLabel = trans.__('Shut Down Kernel');
    this.shutdownAllConfirmationText = trans.__('Shut down all kernels of all gateways?');
    sessions.runningChanged.connect(() => void this._refresh());
    kernels.runningChanged.connect(() => void this._refresh());
    void this._refresh();
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): ISignal<this, void> {
    return this._runningChanged;
  }

  running(): IRunningSessions.IRunningItem[] {
    const all = backends();
    const sessions = [...this._options.sessions.running()];
    return all.map(backend => {
      const children = [
        ...sessions
          .filter(({ kernel }) => all.length === 1 || placeOf(kernel) === backend.name)
          .map(session => this._session(session)),
        ...this._alone.filter(kernel => kernel.backend === backend.name).map(k => this._kernel(k))
      ];
      return this._backend(backend, children);
    });
  }

  refreshRunning(): void {
    void this._options.sessions.refreshRunning();
    void this._refresh();
  }

  shutdownAll(): void {
    void this._options.sessions.shutdownAll();
    this._alone.forEach(({ id }) => void this._shutDown(id));
  }

  private _backend(
    { label, mode }: IBackend,
    children: IRunningSessions.IRunningItem[]
  ): IRunningSessions.IRunningItem {
    const { trans } = this._options;
    return {
      icon: () => kernelIcon,
      label: () => (WORTH_A_WORD.includes(mode) ? `${label} · ${mode}` : label),
      labelTitle: () =>
        mode === 'browser'
          ? trans.__('Only pages contact it')
          : mode === 'direct'
            ? trans.__('Pages connect to it directly')
            : trans.__('Pages reach it through the notebook server'),
      detail: () => trans._n('%1 kernel', '%1 kernels', children.length),
      children
    };
  }

  private _session({ id, name, path, kernel }: Session.IModel): IRunningSessions.IRunningItem {
    const unknown = kernel?.execution_state === 'unknown';
    const { sessions, trans } = this._options;
    const spec = this._display(kernel?.name ?? '');
    return {
      icon: () => kernelIcon,
      label: () => name || path,
      labelTitle: () => path,
      detail: () => (unknown ? trans.__('%1, state unknown', spec) : spec),
      shutdown: () => void sessions.shutdown(id)
    };
  }

  /** A kernel that no notebook uses. */
  private _kernel({ id, name }: IOurKernel): IRunningSessions.IRunningItem {
    const { trans, adopt } = this._options;
    return {
      icon: () => kernelIcon,
      label: () => trans.__('Without a notebook'),
      labelTitle: () => trans.__('Kernel %1: open it in a new notebook', id),
      detail: () => this._display(name),
      open: () => void adopt(id),
      shutdown: () => void this._shutDown(id)
    };
  }

  private _display(name: string): string {
    return this._options.kernelspecs.specs?.kernelspecs[name]?.display_name ?? name;
  }

  private async _shutDown(kernelId: string): Promise<void> {
    const { sessions, settings } = this._options;
    const url = `${settings.baseUrl}api/kernels/${kernelId}`;
    await ServerConnection.makeRequest(url, { method: 'DELETE' }, settings);
    await sessions.refreshRunning();
    await this._refresh();
  }

  /** One request at a time: a server that is starting may let it wait. */
  private async _refresh(): Promise<void> {
    this._stale = true;
    if (this._asking) {
      return;
    }
    this._asking = true;
    while (this._stale) {
      this._stale = false;
      const path = `kernels${NO_ACTIVITY}`;
      const ours = await ask<IOurKernels>(this._options.settings, path).catch(() => null);
      this._alone = ours?.kernels.filter(({ sessions }) => !sessions.length) ?? this._alone;
      this._runningChanged.emit();
    }
    this._asking = false;
  }

  private _alone: IOurKernel[] = [];
  private _asking = false;
  private _stale = false; // since it was last asked
  private readonly _runningChanged = new Signal<this, void>(this);
}

function placeOf(kernel: Session.IModel['kernel']): string | undefined {
  return (kernel as { backend?: string } | null)?.backend;
}
