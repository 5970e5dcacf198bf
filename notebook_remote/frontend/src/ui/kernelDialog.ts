/* JupyterLab's dialog for the choice of a kernel, which shows the backend of each kernel too. */

import { Dialog, ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';

import { displayName } from '../kernelspecNames';
import { backends } from '../server/config';
import { takePendingKernel } from '../services/pendingKernel';

export class KernelDialogs extends SessionContextDialogs {
  async selectKernel(sessionContext: ISessionContext): Promise<void> {
    const pending = takePendingKernel(sessionContext.path);
    if (pending) {
      await sessionContext.changeKernel({ name: pending });
      return;
    }
    const { tracker } = Dialog;
    const onOpened = (_: unknown, dialog: Dialog<unknown>) => {
      tracker.widgetAdded.disconnect(onOpened);
      this._addBackendNames(dialog.node);
    };
    tracker.widgetAdded.connect(onOpened);
    try {
      await super.selectKernel(sessionContext);
    } finally {
      tracker.widgetAdded.disconnect(onOpened);
    }
  }

  /** With a single gateway; with several backends the display names have their names already. */
  private _addBackendNames(dialog: HTMLElement): void {
    const [only, second] = backends();
    for (const option of dialog.querySelectorAll('option')) {
      if (only && only.mode !== 'local' && !second && option.value !== 'null') {
        option.text = displayName(option.text, only.label);
      }
    }
  }
}
