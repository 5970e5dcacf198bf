/* What the user reads about a fallback from direct mode: the reason, and what can be done about it. */

import { TranslationBundle } from '@jupyterlab/translation';

import { FallbackReason } from '../tokens';

/** The sources that a content security policy has to allow: without a path, which would be compared exactly. */
function policySources(url: string): string {
  const { origin } = new URL(url);
  return `${origin} ${origin.replace(/^http/, 'ws')}`;
}

/** Why the channels do not go directly to the gateway, and what can be done. */
export function fallbackAdvice(
  reason: FallbackReason,
  url: string,
  trans: TranslationBundle
): string[] {
  switch (reason) {
    case 'insecure':
      return [
        trans.__('This page was loaded over https, but the gateway is reached over http only.'),
        trans.__('Browsers do not allow that: let the gateway use https.')
      ];
    case 'policy':
      return [
        trans.__("The notebook server's content security policy forbids this connection."),
        trans.__("Add %1 to the policy's connect-src.", policySources(url))
      ];
    case 'local network':
      return [
        trans.__(
          'This browser cannot connect to the gateway, and it does not let this site reach devices on your local network.'
        ),
        trans.__(
          "If the gateway is one of them, allow that in the browser's settings for this site."
        )
      ];
    case 'silent':
      return [
        trans.__('The gateway did not answer this browser within two seconds.'),
        trans.__(
          'Check that this computer reaches %1: a firewall or a VPN may be in the way.',
          url
        ),
        trans.__('If the browser asks whether this site may reach your local network, allow it.')
      ];
    case 'not opened':
    case 'slow':
      return [
        trans.__('The gateway answers this browser, but it does not open the connection.'),
        trans.__(
          'Its log says why. If there is a proxy in front of it, that must pass on WebSockets.'
        )
      ];
    case 'refused':
      return [
        url.startsWith('https:')
          ? trans.__(
              'This browser cannot connect to the gateway, or does not trust its certificate, which may have expired.'
            )
          : trans.__('This browser cannot connect to the gateway.'),
        trans.__('Open %1 in a new tab: the browser says there what is wrong.', url)
      ];
    default:
      return [reason]; // a sentence of the server;
  }
}
