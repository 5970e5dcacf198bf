/* A choice for one kernel: whether it goes on running when the notebook server stops. */

import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ask, IOurKernels } from '../server/api';

export class Keep extends Widget {
  constructor(
    private readonly _kernelId: string,
    private readonly _settings: ServerConnection.ISettings,
    trans: TranslationBundle
  ) {
    super({ node: document.createElement('label') });
    this.addClass('nbr-Keep');
    this._box.type = 'checkbox';
    this._box.addEventListener('change', () => void this._change());
    this.node.append(this._box, trans.__('Keep running when the notebook server stops'));
    this.hide(); // until it is known that there is a choice
    void this._show();
  }

  private async _show(): Promise<void> {
    const ours = await ask<IOurKernels>(this._settings, 'kernels').catch(() => undefined);
    const kernel = ours?.kernels.find(({ id }) => id === this._kernelId);
    if (kernel?.can_be_kept) {
      this._box.checked = kernel.on_exit === 'keep';
      this.show();
    }
  }

  private async _change(): Promise<void> {
    const on_exit = this._box.checked ? 'keep' : 'shutdown';
    const path = `kernels/${this._kernelId}`;
    try {
      const now = await ask<{ on_exit: string }>(this._settings, path, 'PATCH', { on_exit });
      this._box.checked = now.on_exit === 'keep'; // a server may keep all of them
    } catch {
      this._box.checked = !this._box.checked;
    }
  }

  private readonly _box = document.createElement('input');
}
