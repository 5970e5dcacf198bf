/* Says what is missing when a kernel opens the comm of a widget and nobody in the page takes it. */

import { ISessionContext, Notification } from '@jupyterlab/apputils';
import { Kernel, KernelMessage } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

const WIDGET = /^jupyter\.widget/;

/** Watch the kernels of a notebook. */
export function watchForWidgets(context: ISessionContext, trans: TranslationBundle): void {
  const opening = new Set<string>(); // comms of widgets that are being handled
  let said = false;

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
      // That is how JupyterLab answers if nobody takes it.
      if (opening.delete(comm_id) && !said) {
        said = true;
        say(trans);
      }
    }
  }

  /* Emitted when somebody has taken it. */
  function onHandled(_: unknown, { content }: KernelMessage.IIOPubMessage): void {
    const { comm_id } = content as Partial<KernelMessage.ICommOpenMsg['content']>;
    opening.delete(comm_id ?? '');
  }

  function follow(): void {
    const kernel = context.session?.kernel;
    opening.clear();
    kernel?.anyMessage.connect(onMessage);
    kernel?.iopubMessage.connect(onHandled);
  }

  context.kernelChanged.connect(follow);
  follow();
}

function say(trans: TranslationBundle): void {
  Notification.error(
    trans.__(
      'Widgets do nothing here: install jupyterlab_widgets where the notebook server runs, and reload this page.'
    ),
    { autoClose: false }
  );
}
