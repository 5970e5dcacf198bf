/*
 * Says in the page why the gateway cannot be used, and what to do; JupyterLab itself shows an empty
 * list of kernels then, without a word. When the gateway is back the list is fetched again. Says
 * too when a message of the page, an upload above all, was not sent to the kernel.
 *
 * A JupyterLab extension in the form that a build would give it (a module federation container),
 * written by hand because it is this small. If it does not load, the page works without it.
 */
(() => {
  const CHECK_AGAIN = 10000; // milliseconds between two looks while the gateway is away
  const LINK_EVENT = 'https://events.jupyter.org/notebook_remote/link/v1';
  let shared; // the packages that the page shares with its extensions

  async function use(name) {
    const versions = Object.values(shared[name]);
    const factory = await versions[0].get();
    return factory();
  }

  async function activate(app) {
    const { Notification, showErrorMessage } = await use('@jupyterlab/apputils');
    const { ServerConnection } = await use('@jupyterlab/services');
    const { kernelspecs, serverSettings } = app.serviceManager;
    let shown = null; // the id of the notification while there is one
    let looking = false;

    /* The sentence of the server about its gateway, or null when all is well. */
    async function problem() {
      const url = serverSettings.baseUrl + 'api/kernelspecs';
      const response = await ServerConnection.makeRequest(url, {}, serverSettings);
      if (response.ok) {
        return null;
      }
      const { message } = await response.json();
      return message || response.statusText;
    }

    /* There is room for 140 letters: what is wrong. What to do is behind a button. */
    function showSentence(title, sentence) {
      const callback = () => showErrorMessage(title, sentence);
      const actions = [{ label: 'What to do', callback, displayType: 'accent' }];
      return Notification.error(sentence.split(': ')[0], { autoClose: false, actions });
    }

    function show(sentence) {
      if (shown === null) {
        shown = showSentence('The gateway cannot be used', sentence);
      }
    }

    async function look() {
      if (looking) {
        return;
      }
      looking = true;
      try {
        let sentence;
        while ((sentence = await problem()) !== null) {
          show(sentence);
          await new Promise(resolve => setTimeout(resolve, CHECK_AGAIN));
        }
        if (shown !== null) {
          Notification.dismiss(shown);
          shown = null;
          await kernelspecs.refreshSpecs();
          Notification.success('The gateway can be used again', { autoClose: 5000 });
        }
      } catch (error) {
        // The notebook server itself does not answer: the page has its own dialog for that.
        console.warn('notebook-remote:', error);
      } finally {
        looking = false;
      }
    }

    /* A widget's message has no reply in which its error could be shown. */
    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id === LINK_EVENT && event.state === 'refused') {
        showSentence('A message was not sent to the kernel', event.error);
      }
    });

    // Whoever shows notifications must be there first. The list that failed has resolved, as null.
    Promise.all([app.restored, kernelspecs.ready]).then(() => {
      kernelspecs.connectionFailure.connect(look);
      if (kernelspecs.specs === null) {
        look();
      }
    });
  }

  const plugin = { id: 'notebook-remote:problems', autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB['notebook-remote'] = {
    init: scope => {
      shared = scope;
    },
    get: async () => () => ({ __esModule: true, default: plugin })
  };
})();
