/* What users are told, and can do, when this page does not get through to the notebook server. */

import { Notification, showErrorMessage } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { IReach, Obstacle } from '../server/connectivity';

/** A few words for the toolbar; empty if nothing is in the way. */
export function obstacleInWords(obstacle: Obstacle, trans: TranslationBundle): string {
  switch (obstacle) {
    case 'logged out':
      return trans.__('logged out');
    case 'no websockets':
      return trans.__('WebSockets are blocked');
    default:
      return '';
  }
}

/** What is wrong, and what can be done. */
export function adviceOn(obstacle: Obstacle, trans: TranslationBundle): string[] {
  switch (obstacle) {
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

/** Open the page for logging in, in another tab: this one may have work that is not saved. */
export function logIn({ baseUrl }: ServerConnection.ISettings): void {
  const next = encodeURIComponent(new URL(URLExt.join(baseUrl, 'tree')).pathname);
  window.open(`${URLExt.join(baseUrl, 'login')}?next=${next}`, '_blank');
}

/** Show a notification while something is in the way. */
export function notifyOfObstacles(
  reach: IReach,
  settings: ServerConnection.ISettings,
  trans: TranslationBundle
): void {
  let shown = '';

  function show(obstacle: Obstacle): string {
    const [what, advice] = adviceOn(obstacle, trans);
    const loggedOut = obstacle === 'logged out';
    const action = loggedOut
      ? { label: trans.__('Log In'), callback: () => logIn(settings) }
      : { label: trans.__('What to do'), callback: () => void showErrorMessage(what, advice) };
    return Notification.error(what, {
      autoClose: false,
      actions: [
        {
          ...action,
          displayType: 'accent',
          callback: event => {
            event.preventDefault(); // which would dismiss it
            action.callback();
          }
        }
      ]
    });
  }

  reach.changed.connect((_, obstacle) => {
    const before = shown;
    shown = obstacle ? show(obstacle) : '';
    if (before) {
      Notification.dismiss(before);
    }
    if (before && !obstacle) {
      Notification.success(trans.__('Connected to the notebook server again'), { autoClose: 5000 });
    }
  });
}
