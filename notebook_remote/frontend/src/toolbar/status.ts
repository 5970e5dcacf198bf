/* What is said about a connection, in words: a few for the toolbar, sentences for the dialog. */

import { Kernel } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';

import { IBackend } from '../server/config';
import { ILink } from '../server/links';
import { obstacleInWords } from '../notifications/serverUnreachable';
import { Obstacle } from '../server/connectivity';
import { IRoute, Why } from '../channels/routes';

const WORTH_A_WORD = 2; // seconds

/** All that the page knows of a kernel's connection. */
export interface IConnection {
  backend: IBackend;
  status: Kernel.ConnectionStatus;
  /** What is between this page and the notebook server. */
  obstacle: Obstacle;
  /** When the connection broke; null if it stands, or never stood. */
  lostAt: Date | null;
  /** Seconds since the kernel was there to connect to, while the connection never stood. */
  waiting: number;
  route?: IRoute;
  link?: ILink;
}

export interface IStatus {
  level: 'good' | 'warn' | 'busy' | 'lost';
  /** Which way the channels go, where that is worth a word; empty while it is not known. */
  mode: string;
  state: string;
}

/** Whether the channels go through the notebook server though they should not. */
export function isFallback({ backend, status, route }: IConnection): boolean {
  return backend.mode === 'direct' && status === 'connected' && route?.kind === 'relay';
}

/** Whether the connection stands and nothing comes from the gateway, not even its answers to pings. */
export function isSilent({ status, link }: IConnection): boolean {
  return status === 'connected' && link?.state === 'silent';
}

export function statusOf(connection: IConnection, trans: TranslationBundle): IStatus {
  return {
    level: levelOf(connection),
    mode: modeOf(connection, trans),
    state: stateOf(connection, trans)
  };
}

function levelOf(connection: IConnection): IStatus['level'] {
  const { status, lostAt, obstacle } = connection;
  if (status === 'connected') {
    return isFallback(connection) || isSilent(connection) ? 'warn' : 'good';
  }
  return obstacle || status === 'disconnected' || lostAt !== null ? 'lost' : 'busy';
}

function modeOf(connection: IConnection, trans: TranslationBundle): string {
  const { backend, status, route } = connection;
  if (backend.mode === 'browser') {
    return trans.__('browser');
  }
  if (isFallback(connection)) {
    return trans.__('not direct');
  }
  return status === 'connected' && route?.kind === 'direct' ? trans.__('direct') : '';
}

function stateOf(connection: IConnection, trans: TranslationBundle): string {
  const { status, obstacle, lostAt, waiting } = connection;
  if (status === 'connected') {
    return isSilent(connection) ? trans.__('not answering') : trans.__('connected');
  }
  if (obstacle) {
    return obstacleInWords(obstacle, trans);
  }
  if (lostAt !== null) {
    return trans.__('connection lost at %1', lostAt.toLocaleTimeString());
  }
  if (status === 'disconnected') {
    return trans.__('not connected');
  }
  return waiting < WORTH_A_WORD
    ? trans.__('connecting')
    : trans.__('connecting, %1 s', Math.floor(waiting));
}

/** Seconds as people read them. */
export function duration(seconds: number): string {
  const milliseconds = 1000 * seconds;
  const digits = milliseconds < 10 ? 1 : 0;
  return `${milliseconds.toFixed(digits)} ms`;
}

/** What a content security policy has to allow: no path, which would have to match to the letter. */
function sources(url: string): string {
  const { origin } = new URL(url);
  return `${origin} ${origin.replace(/^http/, 'ws')}`;
}

/** Why the direct way is not taken, and what can be done. */
export function whyNotDirect(why: Why, url: string, trans: TranslationBundle): string[] {
  switch (why) {
    case 'insecure':
      return [
        trans.__('This page came over https, and the gateway is reached over http only.'),
        trans.__('Browsers do not allow that: let the gateway use https.')
      ];
    case 'policy':
      return [
        trans.__("The notebook server's content security policy forbids this connection."),
        trans.__("Add %1 to the policy's connect-src.", sources(url))
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
      return [why];
  }
}
