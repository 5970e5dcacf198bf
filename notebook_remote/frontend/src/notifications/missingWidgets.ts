/* The notification when a kernel opens the comm of a widget and the page has no widget manager. */

import { ISessionContext, Notification } from '@jupyterlab/apputils';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

const WIDGET = /^jupyter\.widget/;

/** Watch the kernels of a notebook. */
export function notifyOfMissingWidgets(context: ISessionContext, trans: TranslationBundle): void {
  const opening = new Set<string>(); // comms of widgets that are being handled
  let notified = false;

  function onMessage(_: unknown, { direction, msg }: Kernel.IAnyMessageArgs): void {
    const { comm_id, target_name } = msg.content as Partial<KernelMessage.ICommOpenMsg['content']>;
    if (!comm_id) {
      return;
    }
    if (direction === 'recv' && msg.header.msg_type === 'comm_open') {
      if (WIDGET.test(target_name ?? '')) {
        opening.add(comm_id);
      }
    } else if (direction === 'send' && msg.header.msg_type === 'comm_close') {
      // JupyterLab closes a comm that nothing in the page has registered for.
      if (opening.delete(comm_id) && !notified) {
        notified = true;
        notify(trans);
      }
    }
  }

  /* Called for a message that was handled: the comm has a handler. */
  function onHandled(_: unknown, { content }: KernelMessage.IIOPubMessage): void {
    const { comm_id } = content as Partial<KernelMessage.ICommOpenMsg['content']>;
    opening.delete(comm_id ?? '');
  }

  function onKernel(): void {
    const kernel = context.session?.kernel;
    opening.clear();
    kernel?.anyMessage.connect(onMessage);
    kernel?.iopubMessage.connect(onHandled);
  }

  context.kernelChanged.connect(onKernel);
  onKernel();
}

function notify(trans: TranslationBundle): void {
  Notification.error(
    trans.__(
      'Widgets do nothing here: install jupyterlab_widgets where the notebook server runs, and reload this page.'
    ),
    { autoClose: false }
  );
}
