/* A kernel whose start takes long: what is known of it, and how to give it up. */

import { Dialog, ISessionContext, showDialog } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

import { ask, IOurKernels, IStart, NO_ACTIVITY } from '../server/api';
import { gateways, labelOf } from '../server/config';

const LOOK_EVERY = 1000; // milliseconds, while the notebook waits for its kernel
const WAITS = ['initializing', 'starting'];

/** Follows the start of a notebook's kernel. */
export class Starting {
  constructor(
    private readonly _context: ISessionContext,
    private readonly _settings: ServerConnection.ISettings
  ) {
    _context.statusChanged.connect(this._onStatus, this);
    this._onStatus();
  }

  /** The start that is under way and takes long, if one does. */
  get now(): IStart | undefined {
    return this._now;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    this._disposed = true;
    this._context.statusChanged.disconnect(this._onStatus, this);
  }

  async cancel(start: IStart): Promise<void> {
    await ask(this._settings, `starts/${start.id}`, 'DELETE').catch(() => undefined); // it is up
  }

  private _onStatus(): void {
    if (this._waits() && !this._timer) {
      this._timer = window.setTimeout(() => void this._look(), LOOK_EVERY);
    }
  }

  private _waits(): boolean {
    // In browser mode the page itself starts kernels; those of this computer take no time.
    const elsewhere = gateways().some(({ mode }) => mode !== 'browser');
    return elsewhere && !this._disposed && WAITS.includes(this._context.kernelDisplayStatus);
  }

  private async _look(): Promise<void> {
    const path = `kernels${NO_ACTIVITY}`;
    const ours = await ask<IOurKernels>(this._settings, path).catch(() => undefined);
    const mine = ours?.starts.find(({ document }) => document === this._context.path);
    this._timer = 0;
    this._set(this._waits() ? mine : undefined);
    this._onStatus();
  }

  private _set(start: IStart | undefined): void {
    if (start || this._now) {
      this._now = start;
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _now: IStart | undefined;
  private _timer = 0;
  private _disposed = false;
}

export function startInWords({ state, seconds }: IStart, trans: TranslationBundle): string {
  return state === 'waiting'
    ? trans.__('waiting for its turn to start, %1 s', Math.round(seconds))
    : trans.__('starting, %1 s', Math.round(seconds));
}

/** Resolves with whether the user gives the start up. */
export async function askToCancel(start: IStart, trans: TranslationBundle): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('The Kernel Is Starting'),
    body: [
      trans.__('%1: %2.', labelOf(start.backend), startInWords(start, trans)),
      trans.__('If you cancel, no kernel is left there, even if it still comes up.')
    ].join(' '),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep Waiting') }),
      Dialog.warnButton({ label: trans.__('Cancel the Start') })
    ],
    defaultButton: 0
  });
  return button.accept;
}
