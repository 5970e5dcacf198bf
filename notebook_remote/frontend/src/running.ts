/* A section of the Running page: each gateway, and the kernels of this server on it. */

import { IRunningSessions } from '@jupyterlab/running';
import { KernelSpec, Session } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { kernelIcon } from '@jupyterlab/ui-components';
import { ISignal } from '@lumino/signaling';

import { IBackend } from './config';

export class GatewaysRunning implements IRunningSessions.IManager {
  constructor(
    private readonly _gateways: IBackend[],
    private readonly _sessions: Session.IManager,
    private readonly _kernelspecs: KernelSpec.IManager,
    private readonly _trans: TranslationBundle
  ) {
    this.name = _trans.__('Gateways');
    this.shutdownLabel = _trans.__('Shut Down Kernel');
    this.shutdownAllConfirmationText = _trans.__('Shut down all kernels on the gateway?');
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): ISignal<Session.IManager, Session.IModel[]> {
    return this._sessions.runningChanged;
  }

  /** While there is one gateway, all kernels are on it. */
  running(): IRunningSessions.IRunningItem[] {
    const children = [...this._sessions.running()].map(session => this._item(session));
    return this._gateways.map(({ name, mode }) => ({
      icon: () => kernelIcon,
      label: () => `${name} · ${mode}`,
      labelTitle: () => this._trans.__('Gateway %1, used in %2 mode', name, mode),
      detail: () => this._trans._n('%1 kernel', '%1 kernels', children.length),
      children
    }));
  }

  refreshRunning(): void {
    void this._sessions.refreshRunning();
  }

  shutdownAll(): void {
    void this._sessions.shutdownAll();
  }

  private _item({ id, name, path, kernel }: Session.IModel): IRunningSessions.IRunningItem {
    const spec = this._kernelspecs.specs?.kernelspecs[kernel?.name ?? ''];
    return {
      icon: () => kernelIcon,
      label: () => name || path,
      labelTitle: () => path,
      detail: () => spec?.display_name ?? kernel?.name ?? '',
      shutdown: () => void this._sessions.shutdown(id)
    };
  }
}
