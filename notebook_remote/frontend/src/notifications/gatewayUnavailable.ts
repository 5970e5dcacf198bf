/*
 * Says in the page why the gateway cannot be used, and what to do; JupyterLab itself shows an empty
 * list of kernels then, without a word. When the gateway is back the list is fetched again. Says
 * too when a message of the page, an upload above all, was not sent to the kernel.
 */

import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { BrowserGateways } from '../browser/registry';
import { asLinkEvent } from '../server/links';
import { whatIsWrong } from '../server/errorMessages';

const CHECK_AGAIN = 10_000; // milliseconds between two looks while the gateway is away

export function watchForProblems(
  app: JupyterFrontEnd,
  gateways: BrowserGateways,
  trans: TranslationBundle
): void {
  const { events, kernelspecs } = app.serviceManager;
  let shown: string | null = null; // the id of the notification while there is one
  let looking = false;

  /* The sentence of the server about its gateway, or null when all is well. */
  async function problem(): Promise<string | null> {
    const { serverSettings } = kernelspecs; // of the gateway itself if that is alone in browser mode
    const url = serverSettings.baseUrl + 'api/kernelspecs';
    const response = await ServerConnection.makeRequest(url, {}, serverSettings);
    if (response.ok) {
      return null;
    }
    const { message } = await response.json();
    return message || response.statusText;
  }

  /* There is room for 140 letters: what is wrong. What to do is behind a button. */
  function showSentence(title: string, sentence: string): string {
    let callback = (): void => void showErrorMessage(title, sentence);
    let label = trans.__('What to do');
    const credentials = gateways.alone?.credentials;
    if (credentials?.declined) {
      callback = () => {
        shown = null; // a notification goes with a click on its button
        credentials.askAgain();
        void kernelspecs.refreshSpecs().catch(() => undefined); // the next look tells of it
      };
      label = trans.__('Sign In');
    }
    return Notification.error(whatIsWrong(sentence), {
      autoClose: false,
      actions: [{ label, callback, displayType: 'accent' }]
    });
  }

  async function look(): Promise<void> {
    if (looking) {
      return;
    }
    looking = true;
    try {
      let sentence: string | null;
      let away = false;
      while ((sentence = await problem()) !== null) {
        away = true;
        shown ??= showSentence(trans.__('The gateway cannot be used'), sentence);
        await new Promise(resolve => setTimeout(resolve, CHECK_AGAIN));
      }
      if (away) {
        if (shown !== null) {
          Notification.dismiss(shown);
          shown = null;
        }
        await kernelspecs.refreshSpecs();
        Notification.success(trans.__('The gateway can be used again'), { autoClose: 5000 });
      }
    } catch (error) {
      // The notebook server itself does not answer: the page has its own dialog for that.
      console.warn('notebook-remote:', error);
    } finally {
      looking = false;
    }
  }

  /* A widget's message has no reply in which its error could be shown. */
  events.stream.connect((_, event) => {
    const link = asLinkEvent(event);
    if (link?.state === 'refused') {
      showSentence(trans.__('A message was not sent to the kernel'), tooLarge(link.error ?? ''));
    }
  });

  // Whoever shows notifications must be there first. The list that failed has resolved, as null.
  void Promise.all([app.restored, kernelspecs.ready]).then(() => {
    kernelspecs.connectionFailure.connect(() => void look());
    if (kernelspecs.specs === null) {
      void look();
    }
  });
}

/* What somebody can do who has no say in the limit. */
function tooLarge(sentence: string): string {
  return sentence.replace(/(: .*?\.) Send less.*/, '$1 Send less at once.');
}
