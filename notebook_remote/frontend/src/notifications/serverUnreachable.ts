/* The notification while this page cannot use the notebook server. */

import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { connectivityAdvice } from '../server/connectivityAdvice';
import { ConnectivityProblem, IConnectivity } from '../tokens';

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
