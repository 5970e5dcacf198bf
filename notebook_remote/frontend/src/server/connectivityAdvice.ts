/* What the user reads while this page cannot use the notebook server. */

import { TranslationBundle } from '@jupyterlab/translation';

import { ConnectivityProblem } from '../tokens';

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
        trans.__('You are logged out of the notebook server; your kernels keep running.'),
        trans.__('Log in, in any tab of this browser: this page connects again by itself.')
      ];
    case 'no websockets':
      return [
        trans.__('WebSockets from this page do not reach the notebook server, so no cell can run.'),
        trans.__(
          'A proxy in front of the notebook server has to pass them on: the headers Upgrade and Connection, and HTTP/1.1. Then this page connects by itself.'
        )
      ];
    default:
      return [];
  }
}
