/* A checkbox: whether a kernel keeps running when the notebook server stops. */

import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { IKernelList, IKernelModel, requestApi } from '../server/api';

type Saved = Pick<IKernelModel, 'on_exit'>;

export class KeepKernelCheckbox extends Widget {
  constructor(
    private readonly _kernelId: string,
    private readonly _settings: ServerConnection.ISettings,
    trans: TranslationBundle
  ) {
    super({ node: document.createElement('label') });
    this.addClass('nbr-Keep');
    this._box.type = 'checkbox';
    this._box.addEventListener('change', () => void this._save());
    this.node.append(this._box, trans.__('Keep running when the notebook server stops'));
    this.hide(); // until the server says that the user has a choice
    void this._load();
  }

  private async _load(): Promise<void> {
    const list = await requestApi<IKernelList>(this._settings, 'kernels').catch(() => undefined);
    const kernel = list?.kernels.find(({ id }) => id === this._kernelId);
    if (kernel?.can_be_kept) {
      this._box.checked = kernel.on_exit === 'keep';
      this.show();
    }
  }

  private async _save(): Promise<void> {
    const on_exit = this._box.checked ? 'keep' : 'shutdown';
    const path = `kernels/${this._kernelId}`;
    try {
      const kernel = await requestApi<Saved>(this._settings, path, 'PATCH', { on_exit });
      this._box.checked = kernel.on_exit === 'keep'; // a server may be configured to keep all kernels
    } catch {
      this._box.checked = !this._box.checked;
    }
  }

  private readonly _box = document.createElement('input');
}
