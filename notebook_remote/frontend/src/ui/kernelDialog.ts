/* The kernel dialog, in which each kernel has the name of the backend that it is or will be on. */

import { Dialog, ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';

import { backends } from '../server/config';
import { takeWanted } from '../services/pendingKernel';

export class KernelDialogs extends SessionContextDialogs {
  async selectKernel(sessionContext: ISessionContext): Promise<void> {
    const wanted = takeWanted(sessionContext.path);
    if (wanted) {
      await sessionContext.changeKernel({ name: wanted });
      return;
    }
    const { tracker } = Dialog;
    const name = (_: unknown, dialog: Dialog<unknown>) => {
      tracker.widgetAdded.disconnect(name);
      this._nameBackends(dialog.node);
    };
    tracker.widgetAdded.connect(name);
    try {
      await super.selectKernel(sessionContext);
    } finally {
      tracker.widgetAdded.disconnect(name);
    }
  }

  /** While there is one gateway, all kernels are on it; of several, the server tells the names. */
  private _nameBackends(dialog: HTMLElement): void {
    const [only, second] = backends();
    for (const option of dialog.querySelectorAll('option')) {
      if (only && only.mode !== 'local' && !second && option.value !== 'null') {
        option.text += ` · ${only.label}`;
      }
    }
  }
}
