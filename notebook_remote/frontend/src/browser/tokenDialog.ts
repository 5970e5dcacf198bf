/* The dialog in which the user enters a gateway's token. */

import { InputDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { backends, IBrowserBackend } from '../server/config';
import { CredentialProblem } from './credentials';

/** Ask for a token; null if the user declines. `problem` is what was wrong with the last token. */
export async function promptForToken(
  backend: IBrowserBackend,
  problem: CredentialProblem,
  trans: TranslationBundle
): Promise<string | null> {
  const only = backends().length === 1;
  const { value, button } = await InputDialog.getPassword({
    title: only ? trans.__('Token for the Gateway') : trans.__('Token for %1', backend.name),
    label: [
      ...explanation(problem, backend.url, trans),
      trans.__('This page runs kernels at %1, and needs its token for that.', backend.url),
      trans.__('It is sent to the gateway only, and kept for this tab only.')
    ].join(' '),
    okLabel: trans.__('Sign In'),
    cancelLabel: trans.__('Not Now')
  });
  return button.accept ? (value ?? '').trim() || null : null;
}

/** What was wrong, and what the user can do. */
function explanation(problem: CredentialProblem, url: string, trans: TranslationBundle): string[] {
  switch (problem) {
    case 'refused':
      return [trans.__('The gateway does not accept this token.')];
    case 'insecure':
      return [
        trans.__('This page was loaded over https, but the gateway is reached over http only.'),
        trans.__('Browsers do not allow that: let the gateway use https.')
      ];
    case 'not allowed':
      return [
        trans.__('The gateway does not answer pages of %1.', location.origin),
        trans.__(
          'Install notebook-remote-gateway there, and start it with NOTEBOOK_REMOTE_ALLOWED_ORIGINS=%1.',
          location.origin
        )
      ];
    case 'unreachable':
      return [
        trans.__('This browser does not reach %1.', url),
        trans.__('Check that the gateway runs, and that no firewall is in the way.'),
        trans.__('Open %1 in a new tab: the browser says there what is wrong.', url)
      ];
    default:
      return [];
  }
}
