/*
 * A notebook whose kernel ends unasked: it was culled, say. JupyterLab says "No Kernel" then, empties
 * the prompts of the cells that were waiting, and says nothing. Here each of those cells says what
 * became of it, and a notification says why the kernel is gone and offers another one.
 */

import { DocumentRegistry } from '@jupyterlab/docregistry';
import { ISessionContext, Notification } from '@jupyterlab/apputils';
import { Event, Kernel, KernelMessage } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { IDisposable } from '@lumino/disposable';
import { Widget } from '@lumino/widgets';

import { labelOf } from '../server/config';
import { asLinkEvent, ILinkEvent } from '../server/links';

/** What is used of a notebook's panel. */
interface INotebook extends Widget {
  sessionContext: ISessionContext;
  content: { widgets: readonly { model: ICell }[] };
}

interface ICell {
  id: string;
  outputs?: { add(output: object): unknown };
}

/** A cell that was sent to the kernel and has no reply yet. */
interface IRequest {
  cell: string;
  begun: boolean;
}

// While these last the user has asked for the end of the kernel.
const ASKED_FOR = ['terminating', 'starting', 'restarting', 'initializing'];

export class EndOfKernel implements IDisposable {
  constructor(
    private readonly _panel: INotebook,
    private readonly _events: Event.IManager,
    private readonly _onGone: () => void,
    private readonly _trans: TranslationBundle
  ) {
    this._context.kernelChanged.connect(this._follow, this);
    this._context.sessionChanged.connect(this._follow, this);
    this._context.disposed.connect(this.dispose, this);
    _events.stream.connect(this._onEvent, this);
    this._follow();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    this._events.stream.disconnect(this._onEvent, this);
    this._context.kernelChanged.disconnect(this._follow, this);
    this._context.sessionChanged.disconnect(this._follow, this);
    this._context.disposed.disconnect(this.dispose, this);
    this._dismiss();
  }

  private get _context(): ISessionContext {
    return this._panel.sessionContext;
  }

  /** The notebook has another kernel, or none; the one that it had before is remembered. */
  private _follow(): void {
    const kernel = this._context.session?.kernel;
    if (!kernel || kernel.clientId === this._clientId) {
      return;
    }
    this._clientId = kernel.clientId;
    this._requests.clear();
    kernel.anyMessage.connect(this._onMessage, this);
    kernel.disposed.connect(this._onEnd, this);
    this._dismiss();
  }

  private _onMessage(kernel: Kernel.IKernelConnection, { msg }: Kernel.IAnyMessageArgs): void {
    if (kernel.clientId !== this._clientId) {
      return;
    }
    const { msg_id } = msg.parent_header as KernelMessage.IHeader;
    switch (msg.header.msg_type) {
      case 'execute_request':
        this._requests.set(msg.header.msg_id, { cell: `${msg.metadata.cellId}`, begun: false });
        break;
      case 'execute_input':
        this._requests.set(msg_id, { ...(this._requests.get(msg_id) ?? NO_CELL), begun: true });
        break;
      case 'execute_reply':
        this._requests.delete(msg_id);
        break;
    }
  }

  private _onEnd({ clientId }: Kernel.IKernelConnection): void {
    const asked = ASKED_FOR.includes(this._context.kernelDisplayStatus);
    if (!asked && clientId === this._clientId && !this._context.isDisposed) {
      this._requests.forEach(request => this._tell(request));
    }
    this._requests.clear();
  }

  /** Say in a cell what became of it. */
  private _tell({ cell, begun }: IRequest): void {
    const trans = this._trans;
    const evalue = begun
      ? trans.__('The kernel ended before this cell did: start another kernel, and run it again.')
      : trans.__('The kernel ended before this cell ran: run it again with another kernel.');
    const output = { output_type: 'error', ename: 'KernelEnded', evalue, traceback: [evalue] };
    const found = this._panel.content.widgets.find(({ model }) => model.id === cell);
    found?.model.outputs?.add(output);
  }

  private _onEvent(_: Event.IManager, event: Event.Emission): void {
    const link = asLinkEvent(event);
    if (link?.state === 'gone' && link.session_id === this._clientId) {
      this._offerAnother(link);
      this._onGone();
    }
  }

  private _offerAnother({ backend }: ILinkEvent): void {
    const context = this._context;
    const why = this._trans.__(
      'The kernel on %1 is gone: it was culled or shut down there, or died. Its variables are lost; the notebook is not.',
      labelOf(backend)
    );
    const gone = this._clientId;
    const { name } = context.session?.kernel ?? { name: context.prevKernelName };
    const callback = async () => {
      const kernel = context.session?.kernel;
      if (kernel && kernel.clientId !== gone) {
        return; // it has another kernel already
      }
      await context.shutdown().catch(() => undefined); // the session went with its kernel
      await context.changeKernel({ name });
    };
    const label = this._trans.__('Start Another');
    this._dismiss();
    this._shown = Notification.error(why, {
      autoClose: false,
      actions: [{ label, callback: () => void callback(), displayType: 'accent' }]
    });
  }

  private _dismiss(): void {
    if (this._shown) {
      Notification.dismiss(this._shown);
    }
    this._shown = '';
  }

  private readonly _requests = new Map<string, IRequest>(); // by the ids of their messages
  private _clientId = ''; // of the connection to the last kernel
  private _shown = ''; // the id of the notification
  private _disposed = false;
}

const NO_CELL: IRequest = { cell: '', begun: false };

/** Makes one for each notebook that is opened. */
export class EndsOfKernels implements DocumentRegistry.IWidgetExtension<never, never> {
  constructor(
    private readonly _events: Event.IManager,
    private readonly _onGone: () => void,
    private readonly _trans: TranslationBundle
  ) {}

  createNew(panel: Widget): IDisposable {
    return new EndOfKernel(panel as INotebook, this._events, this._onGone, this._trans);
  }
}
