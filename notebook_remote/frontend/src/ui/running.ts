/* The section of gateways on the Running page: each backend, with this server's kernels on it. */

import { IRunningSessions } from '@jupyterlab/running';
import { Kernel, KernelSpec, ServerConnection, Session } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { kernelIcon } from '@jupyterlab/ui-components';
import { ISignal, Signal } from '@lumino/signaling';

import { IKernelList, IKernelModel, NO_TRACK_ACTIVITY, requestApi } from '../server/api';
import { backends, backendsChanged, IBackend } from '../server/config';

const MODES_IN_LABEL = ['direct', 'browser'];

export interface IRunningGatewaysOptions {
  kernels: Kernel.IManager;
  sessions: Session.IManager;
  kernelspecs: KernelSpec.IManager;
  settings: ServerConnection.ISettings;
  trans: TranslationBundle;
  /** Open a new notebook with a kernel that has no notebook. */
  adopt: (kernelId: string) => Promise<void>;
}

export class RunningGateways implements IRunningSessions.IManager {
  constructor(private readonly _options: IRunningGatewaysOptions) {
    const { kernels, sessions, trans } = _options;
    this.name = trans.__('Gateways');
    this.shutdownLabel = trans.__('Shut Down Kernel');
    this.shutdownAllConfirmationText = trans.__('Shut down all kernels of all gateways?');
    sessions.runningChanged.connect(() => void this._refresh());
    kernels.runningChanged.connect(() => void this._refresh());
    backendsChanged.connect(() => void this._refresh());
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
          .filter(({ kernel }) => all.length === 1 || backendNameOf(kernel) === backend.name)
          .map(session => this._sessionItem(session)),
        ...this._withoutSession
          .filter(kernel => kernel.backend === backend.name)
          .map(k => this._kernelItem(k))
      ];
      return this._backendItem(backend, children);
    });
  }

  refreshRunning(): void {
    void this._options.sessions.refreshRunning();
    void this._refresh();
  }

  shutdownAll(): void {
    void this._options.sessions.shutdownAll();
    this._withoutSession.forEach(({ id }) => void this._shutDown(id));
  }

  private _backendItem(
    { label, mode }: IBackend,
    children: IRunningSessions.IRunningItem[]
  ): IRunningSessions.IRunningItem {
    const { trans } = this._options;
    return {
      icon: () => kernelIcon,
      label: () => (MODES_IN_LABEL.includes(mode) ? `${label} · ${mode}` : label),
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

  private _sessionItem({ id, name, path, kernel }: Session.IModel): IRunningSessions.IRunningItem {
    const unknown = kernel?.execution_state === 'unknown';
    const { sessions, trans } = this._options;
    const spec = this._displayName(kernel?.name ?? '');
    return {
      icon: () => kernelIcon,
      label: () => name || path,
      labelTitle: () => path,
      detail: () => (unknown ? trans.__('%1, state unknown', spec) : spec),
      shutdown: () => void sessions.shutdown(id)
    };
  }

  /** A kernel without a notebook. */
  private _kernelItem({ id, name }: IKernelModel): IRunningSessions.IRunningItem {
    const { trans, adopt } = this._options;
    return {
      icon: () => kernelIcon,
      label: () => trans.__('Without a notebook'),
      labelTitle: () => trans.__('Kernel %1: open it in a new notebook', id),
      detail: () => this._displayName(name),
      open: () => void adopt(id),
      shutdown: () => void this._shutDown(id)
    };
  }

  private _displayName(name: string): string {
    return this._options.kernelspecs.specs?.kernelspecs[name]?.display_name ?? name;
  }

  private async _shutDown(kernelId: string): Promise<void> {
    const { sessions, settings } = this._options;
    const url = `${settings.baseUrl}api/kernels/${kernelId}`;
    await ServerConnection.makeRequest(url, { method: 'DELETE' }, settings);
    await sessions.refreshRunning();
    await this._refresh();
  }

  /** One request at a time, since a server that is starting may delay the response. */
  private async _refresh(): Promise<void> {
    this._stale = true;
    if (this._requesting) {
      return;
    }
    this._requesting = true;
    while (this._stale) {
      this._stale = false;
      const path = `kernels${NO_TRACK_ACTIVITY}`;
      const { settings } = this._options;
      const list = await requestApi<IKernelList>(settings, path).catch(() => null);
      this._withoutSession =
        list?.kernels.filter(({ sessions }) => !sessions.length) ?? this._withoutSession;
      this._runningChanged.emit();
    }
    this._requesting = false;
  }

  private _withoutSession: IKernelModel[] = [];
  private _requesting = false;
  private _stale = false; // whether something changed since the last request
  private readonly _runningChanged = new Signal<this, void>(this);
}

function backendNameOf(kernel: Session.IModel['kernel']): string | undefined {
  return (kernel as { backend?: string } | null)?.backend;
}
