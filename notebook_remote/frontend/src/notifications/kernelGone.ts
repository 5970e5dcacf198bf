/*
 * The notification when a notebook's kernel is gone although the user did not shut it down: it was culled,
 * for example. JupyterLab shows "No Kernel" then and clears the prompts of the cells that were
 * waiting, without a message. Here each of those cells gets an error as its output, and the
 * notification says why the kernel is gone and offers to start another one.
 */

import { DocumentRegistry } from '@jupyterlab/docregistry';
import { ISessionContext, Notification } from '@jupyterlab/apputils';
import { Event, Kernel, KernelMessage } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import { backendLabel } from '../server/config';
import { ILinkEvent, parseLinkEvent } from '../server/links';

/** The part of a notebook's panel that is used here. */
interface INotebook extends Widget {
  sessionContext: ISessionContext;
  content: { widgets: readonly { model: ICell }[] };
}

interface ICell {
  id: string;
  outputs?: { add(output: object): unknown };
}

/** A cell that was sent to the kernel and has no reply yet. */
interface IPendingCell {
  id: string;
  started: boolean;
}

// In these states the user has shut down, restarted or changed the kernel.
const USER_ACTIONS = ['terminating', 'starting', 'restarting', 'initializing'];

export class KernelGoneNotifier implements IDisposable {
  constructor(
    private readonly _panel: INotebook,
    private readonly _events: Event.IManager,
    private readonly _onGone: () => void,
    private readonly _trans: TranslationBundle
  ) {
    this._context.kernelChanged.connect(this._onKernel, this);
    this._context.sessionChanged.connect(this._onKernel, this);
    this._context.disposed.connect(this.dispose, this);
    _events.stream.connect(this._onEvent, this);
    this._onKernel();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    this._events.stream.disconnect(this._onEvent, this);
    this._context.kernelChanged.disconnect(this._onKernel, this);
    this._context.sessionChanged.disconnect(this._onKernel, this);
    this._context.disposed.disconnect(this.dispose, this);
    this._dismiss();
  }

  private get _context(): ISessionContext {
    return this._panel.sessionContext;
  }

  /** The notebook may have another kernel. If it has none, the last one stays the one to watch. */
  private _onKernel(): void {
    const kernel = this._context.session?.kernel;
    if (!kernel || kernel.clientId === this._clientId) {
      return;
    }
    this._clientId = kernel.clientId;
    this._pendingCells.clear();
    kernel.anyMessage.connect(this._onMessage, this);
    kernel.disposed.connect(this._onKernelDisposed, this);
    this._dismiss();
  }

  private _onMessage(kernel: Kernel.IKernelConnection, { msg }: Kernel.IAnyMessageArgs): void {
    if (kernel.clientId !== this._clientId) {
      return;
    }
    const { msg_id } = msg.parent_header as KernelMessage.IHeader;
    switch (msg.header.msg_type) {
      case 'execute_request':
        this._pendingCells.set(msg.header.msg_id, {
          id: msg.metadata.cellId as string,
          started: false
        });
        break;
      case 'execute_input':
        this._pendingCells.set(msg_id, {
          ...(this._pendingCells.get(msg_id) ?? UNKNOWN_CELL),
          started: true
        });
        break;
      case 'execute_reply':
        this._pendingCells.delete(msg_id);
        break;
    }
  }

  private _onKernelDisposed({ clientId }: Kernel.IKernelConnection): void {
    const byUser = USER_ACTIONS.includes(this._context.kernelDisplayStatus);
    if (!byUser && clientId === this._clientId && !this._context.isDisposed) {
      this._pendingCells.forEach(cell => this._addError(cell));
    }
    this._pendingCells.clear();
  }

  /** Add an error to the outputs of a cell. */
  private _addError({ id, started }: IPendingCell): void {
    const trans = this._trans;
    const evalue = started
      ? trans.__('The kernel ended before this cell did: start another kernel, and run it again.')
      : trans.__('The kernel ended before this cell ran: run it again with another kernel.');
    const output = { output_type: 'error', ename: 'KernelEnded', evalue, traceback: [evalue] };
    const cell = this._panel.content.widgets.find(({ model }) => model.id === id);
    cell?.model.outputs?.add(output);
  }

  private _onEvent(_: Event.IManager, event: Event.Emission): void {
    const link = parseLinkEvent(event);
    if (link?.state === 'gone' && link.session_id === this._clientId) {
      this._offerAnother(link);
      this._onGone();
    }
  }

  private _offerAnother({ backend }: ILinkEvent): void {
    const context = this._context;
    const message = this._trans.__(
      'The kernel on %1 is gone: it was culled or shut down there, or died. Its variables are lost; the notebook is not.',
      backendLabel(backend)
    );
    const gone = this._clientId;
    const { name } = context.session?.kernel ?? { name: context.prevKernelName };
    const callback = async () => {
      const kernel = context.session?.kernel;
      if (kernel && kernel.clientId !== gone) {
        return; // the notebook has another kernel already
      }
      await context.shutdown().catch(() => undefined); // the session may be gone too
      await context.changeKernel({ name });
    };
    const label = this._trans.__('Start Another');
    this._dismiss();
    this._notification = Notification.error(message, {
      autoClose: false,
      actions: [{ label, callback: () => void callback(), displayType: 'accent' }]
    });
  }

  private _dismiss(): void {
    if (this._notification) {
      Notification.dismiss(this._notification);
    }
    this._notification = '';
  }

  private readonly _pendingCells = new Map<string, IPendingCell>(); // by the id of the execute_request
  private _clientId = ''; // of the connection to the kernel to watch
  private _notification = ''; // its id while it is shown
  private _disposed = false;
}

const UNKNOWN_CELL: IPendingCell = { id: '', started: false };

/** Creates a notifier for each notebook that is opened. */
export class KernelGoneExtension implements DocumentRegistry.IWidgetExtension<never, never> {
  constructor(
    private readonly _events: Event.IManager,
    private readonly _onGone: () => void,
    private readonly _trans: TranslationBundle
  ) {}

  createNew(panel: Widget): IDisposable {
    return new KernelGoneNotifier(panel as INotebook, this._events, this._onGone, this._trans);
  }
}
