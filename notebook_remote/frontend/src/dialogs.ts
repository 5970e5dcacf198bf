/* The kernel dialog, in which each kernel has the name of the backend that it is or will be on. */

import { Dialog, ISessionContext, SessionContextDialogs } from '@jupyterlab/apputils';

import { IBackend } from './config';

export class KernelDialogs extends SessionContextDialogs {
  constructor(
    private readonly _gateways: IBackend[],
    options: ISessionContext.IDialogsOptions
  ) {
    super(options);
  }

  async selectKernel(sessionContext: ISessionContext): Promise<void> {
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

  /** The names are in the dialog only: those of kernelspecs are saved in notebooks. */
  private _nameBackends(dialog: HTMLElement): void {
    const [only] = this._gateways; // while there is one gateway, all kernels are on it
    for (const option of dialog.querySelectorAll('option')) {
      if (only && option.value !== 'null') {
        option.text += ` · ${only.name}`;
      }
    }
  }
}
