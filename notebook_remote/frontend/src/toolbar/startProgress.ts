/* The progress of a kernel's start that takes long, and a dialog to cancel it. */

import { Dialog, ISessionContext, showDialog } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

import { IKernelList, IKernelStart, NO_TRACK_ACTIVITY, requestApi } from '../server/api';
import { backendLabel, gateways } from '../server/config';

const POLL_INTERVAL = 1000; // milliseconds, while the notebook waits for its kernel
const WAITING_STATUS = ['initializing', 'starting'];

/** Watches the start of a notebook's kernel. */
export class StartProgress {
  constructor(
    private readonly _context: ISessionContext,
    private readonly _settings: ServerConnection.ISettings
  ) {
    _context.statusChanged.connect(this._onStatus, this);
    this._onStatus();
  }

  /** The start that is in progress, once it has taken a second. */
  get current(): IKernelStart | undefined {
    return this._current;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    this._disposed = true;
    this._context.statusChanged.disconnect(this._onStatus, this);
  }

  async cancel({ id }: IKernelStart): Promise<void> {
    // An error means that the kernel has started meanwhile.
    await requestApi(this._settings, `starts/${id}`, 'DELETE').catch(() => undefined);
  }

  private _onStatus(): void {
    if (this._isWaiting() && !this._timer) {
      this._timer = window.setTimeout(() => void this._poll(), POLL_INTERVAL);
    }
  }

  private _isWaiting(): boolean {
    // In browser mode the page itself starts kernels; local kernels start quickly.
    const serverStarts = gateways().some(({ mode }) => mode !== 'browser');
    return (
      serverStarts && !this._disposed && WAITING_STATUS.includes(this._context.kernelDisplayStatus)
    );
  }

  private async _poll(): Promise<void> {
    // The API has no route for one start, nor for the starts alone.
    const path = `kernels${NO_TRACK_ACTIVITY}`;
    const list = await requestApi<IKernelList>(this._settings, path).catch(() => undefined);
    const start = list?.starts.find(({ document }) => document === this._context.path);
    this._timer = 0;
    this._setCurrent(this._isWaiting() ? start : undefined);
    this._onStatus();
  }

  private _setCurrent(start: IKernelStart | undefined): void {
    if (start || this._current) {
      this._current = start;
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _current: IKernelStart | undefined;
  private _timer = 0;
  private _disposed = false;
}

/** The state of a start in a few words. */
export function describeStart({ state, seconds }: IKernelStart, trans: TranslationBundle): string {
  return state === 'waiting'
    ? trans.__('waiting for its turn to start, %1 s', Math.round(seconds))
    : trans.__('starting, %1 s', Math.round(seconds));
}

/** Show a dialog. Resolves with whether the user cancels the start. */
export async function confirmCancel(
  start: IKernelStart,
  trans: TranslationBundle
): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('The Kernel Is Starting'),
    body: [
      trans.__('%1: %2.', backendLabel(start.backend), describeStart(start, trans)),
      trans.__('If you cancel, no kernel is left there, even if it still starts.')
    ].join(' '),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep Waiting') }),
      Dialog.warnButton({ label: trans.__('Cancel the Start') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
