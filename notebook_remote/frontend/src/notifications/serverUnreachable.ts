/* The notification while this page cannot use the notebook server, and its texts. */

import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { ConnectivityProblem, IConnectivity } from '../tokens';

/** A few words for the toolbar; empty if there is no problem. */
export function connectivityLabel(problem: ConnectivityProblem, trans: TranslationBundle): string {
  switch (problem) {
    case 'logged out':
      return trans.__('logged out');
    case 'no websockets':
      return trans.__('WebSockets are blocked');
    default:
      return '';
  }
}

/** What is wrong, and what can be done. */
export function connectivityAdvice(
  problem: ConnectivityProblem,
  trans: TranslationBundle
): string[] {
  switch (problem) {
    case 'logged out':
      return [
        trans.__('You are logged out of the notebook server; your kernels go on running.'),
        trans.__('Log in, in any tab of this browser: this page connects again by itself.')
      ];
    case 'no websockets':
      return [
        trans.__(
          'WebSockets from this page do not get through to the notebook server, so no cell can run.'
        ),
        trans.__(
          'A proxy in front of the notebook server has to pass them on: the headers Upgrade and Connection, and HTTP/1.1. Then this page connects by itself.'
        )
      ];
    default:
      return [];
  }
}

/** Open the login page in another tab: this one may have unsaved work. */
function openLoginPage({ baseUrl }: ServerConnection.ISettings): void {
  const next = encodeURIComponent(new URL(URLExt.join(baseUrl, 'tree')).pathname);
  window.open(`${URLExt.join(baseUrl, 'login')}?next=${next}`, '_blank');
}

/** Show a notification while there is a problem. */
export function notifyOfConnectivity(
  connectivity: IConnectivity,
  settings: ServerConnection.ISettings,
  trans: TranslationBundle
): void {
  let notification = ''; // its id while it is shown

  function show(problem: ConnectivityProblem): string {
    const [what, advice] = connectivityAdvice(problem, trans);
    const loggedOut = problem === 'logged out';
    const action = loggedOut
      ? { label: trans.__('Log In'), callback: () => openLoginPage(settings) }
      : { label: trans.__('What to do'), callback: () => void showErrorMessage(what, advice) };
    return Notification.error(what, {
      autoClose: false,
      actions: [
        {
          ...action,
          displayType: 'accent',
          callback: event => {
            event.preventDefault(); // keeps the notification open
            action.callback();
          }
        }
      ]
    });
  }

  connectivity.changed.connect((_, problem) => {
    const previous = notification;
    notification = problem ? show(problem) : '';
    if (previous) {
      Notification.dismiss(previous);
    }
    if (previous && !problem) {
      Notification.success(trans.__('Connected to the notebook server again'), { autoClose: 5000 });
    }
  });
}
