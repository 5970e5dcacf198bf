/*
 * The notification while the gateway is unavailable, with the reason and what can be done; JupyterLab
 * itself shows an empty list of kernels without a message. When the gateway is available again the list is
 * requested again. There is also a notification when a message of the page, such as an upload, was not
 * sent to the kernel.
 */

import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { BrowserGateways } from '../browser/registry';
import { withoutAdvice } from '../server/errorMessages';
import { parseLinkEvent } from '../server/links';

const CHECK_INTERVAL = 10_000; // milliseconds, while the gateway is unavailable

export function notifyOfUnavailableGateway(
  app: JupyterFrontEnd,
  gateways: BrowserGateways,
  trans: TranslationBundle
): void {
  const { events, kernelspecs } = app.serviceManager;
  let notification: string | null = null; // its id while it is shown
  let checking = false;

  /* The error message of the list of kernelspecs; null if there is no error. */
  async function requestError(): Promise<string | null> {
    // In browser mode with a single gateway these are settings for the gateway itself.
    const { serverSettings } = kernelspecs;
    const url = serverSettings.baseUrl + 'api/kernelspecs';
    const response = await ServerConnection.makeRequest(url, {}, serverSettings);
    if (response.ok) {
      return null;
    }
    const { message } = (await response.json()) as { message?: string };
    return message || response.statusText;
  }

  /* A notification has room for 140 characters: the problem. A button shows the advice as well. */
  function show(title: string, message: string): string {
    let callback = (): void => void showErrorMessage(title, message);
    let label = trans.__('What to do');
    const credentials = gateways.only?.credentials;
    if (credentials?.declined) {
      callback = () => {
        notification = null; // a click on the button closes it
        credentials.allowPrompt();
        void kernelspecs.refreshSpecs().catch(() => undefined); // the next check shows the error
      };
      label = trans.__('Sign In');
    }
    return Notification.error(withoutAdvice(message), {
      autoClose: false,
      actions: [{ label, callback, displayType: 'accent' }]
    });
  }

  async function check(): Promise<void> {
    if (checking) {
      return;
    }
    checking = true;
    try {
      let error: string | null;
      let wasUnavailable = false;
      while ((error = await requestError()) !== null) {
        wasUnavailable = true;
        notification ??= show(trans.__('The gateway cannot be used'), error);
        await new Promise(resolve => setTimeout(resolve, CHECK_INTERVAL));
      }
      if (wasUnavailable) {
        if (notification !== null) {
          Notification.dismiss(notification);
          notification = null;
        }
        await kernelspecs.refreshSpecs();
        Notification.success(trans.__('The gateway can be used again'), { autoClose: 5000 });
      }
    } catch (error) {
      // The notebook server itself does not answer: JupyterLab has a dialog for that.
      console.warn('notebook-remote:', error);
    } finally {
      checking = false;
    }
  }

  /* Most of these are messages of widgets, to which no reply with an error is possible. */
  events.stream.connect((_, event) => {
    const link = parseLinkEvent(event);
    if (link?.state === 'refused') {
      show(trans.__('A message was not sent to the kernel'), withoutLimitOption(link.error ?? ''));
    }
  });

  // Notifications need the restored page. A list that failed at first resolves as null.
  void Promise.all([app.restored, kernelspecs.ready]).then(() => {
    kernelspecs.connectionFailure.connect(() => void check());
    if (kernelspecs.specs === null) {
      void check();
    }
  });
}

/* Without the advice to raise the limit, which users of a page cannot do. */
function withoutLimitOption(message: string): string {
  return message.replace(/(: .*?\.) Send less.*/, '$1 Send less at once.');
}
