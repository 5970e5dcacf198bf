/* The dialog that the indicator opens: details of the connection, and what the user can do. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ping } from '../channels/probe';
import { connectivityAdvice } from '../server/connectivityAdvice';
import { withoutAdvice } from '../server/errorMessages';
import { fallbackAdvice } from './fallbackAdvice';
import { formatDuration, IConnectionInfo, isFallback, isSilent, statusOf } from './status';

/** Show the dialog. Resolves with whether the user wants to reconnect. */
export async function showDetails(
  connection: IConnectionInfo,
  keepKernel: Widget,
  trans: TranslationBundle
): Promise<boolean> {
  const { level } = statusOf(connection, trans);
  const close = Dialog.cancelButton({ label: trans.__('Close') });
  const reconnect = Dialog.okButton({
    label: isFallback(connection) ? trans.__('Try Direct Again') : trans.__('Connect Again')
  });
  const result = await showDialog({
    title: trans.__('Connection to the Kernel'),
    body: new Details(connection, keepKernel, trans),
    buttons: level === 'good' ? [close] : [close, reconnect],
    defaultButton: 0
  });
  return result.button.accept;
}

class Details extends Widget {
  constructor(connection: IConnectionInfo, keepKernel: Widget, trans: TranslationBundle) {
    super();
    this.addClass('nbr-Details');
    this.node.append(this._list);
    const { backend, route, link } = connection;
    const { state } = statusOf(connection, trans);
    this._add(trans.__('Kernel on'), backend.label, route?.gateway ?? '');
    this._add(trans.__('Connected'), routeText(connection, trans));
    this._add(trans.__('State'), state);
    if (connection.status === 'connected') {
      this._addDurations(connection, trans);
    }
    if (link?.reconnects) {
      this._add(trans.__('Reconnects'), String(link.reconnects));
    }
    if (link?.last_error && !connection.connectivityProblem) {
      this._add(trans.__('Last error'), withoutAdvice(link.last_error));
    }
    this._addParagraphs(adviceOn(connection, trans));
    this.node.append(keepKernel.node);
  }

  private _addDurations({ route, link }: IConnectionInfo, trans: TranslationBundle): void {
    const roundTrip = this._add(trans.__('Round trip'), trans.__('not measured yet'));
    if (route?.kind === 'direct') {
      void measureRoundTrip(route.gateway, roundTrip, trans);
    } else if (link) {
      const { browser, gateway } = link.round_trip_time;
      const legs = [
        browser !== null && trans.__('page to notebook server %1', formatDuration(browser)),
        gateway !== null && trans.__('notebook server to gateway %1', formatDuration(gateway))
      ];
      roundTrip.textContent = legs.filter(Boolean).join(', ') || roundTrip.textContent;
    }
    if (route?.openedIn) {
      this._add(trans.__('Opened in'), formatDuration(route.openedIn / 1000));
    }
  }

  private _add(term: string, ...texts: string[]): HTMLElement {
    const dt = document.createElement('dt');
    dt.textContent = term;
    const dd = document.createElement('dd');
    dd.textContent = texts.filter(Boolean).join(' – ');
    this._list.append(dt, dd);
    return dd;
  }

  private _addParagraphs(sentences: string[]): void {
    for (const sentence of sentences) {
      const paragraph = document.createElement('p');
      paragraph.textContent = sentence;
      this.node.append(paragraph);
    }
  }

  private readonly _list = document.createElement('dl');
}

function routeText(connection: IConnectionInfo, trans: TranslationBundle): string {
  return connection.route?.kind === 'direct'
    ? trans.__('directly, from this page')
    : trans.__('through the notebook server');
}

/** Fill in the round trip time of the second request: the first may have to open a connection. */
async function measureRoundTrip(
  base: string,
  output: HTMLElement,
  trans: TranslationBundle
): Promise<void> {
  try {
    await ping(base);
    const milliseconds = await ping(base);
    output.textContent = trans.__('page to gateway %1', formatDuration(milliseconds / 1000));
  } catch {
    output.textContent = trans.__('the gateway does not answer this page');
  }
}

/** What the user can do about the state of the connection. */
function adviceOn(connection: IConnectionInfo, trans: TranslationBundle): string[] {
  const { route, status, connectivityProblem } = connection;
  const { level } = statusOf(connection, trans);
  if (isFallback(connection)) {
    return [
      ...fallbackAdvice(route?.fallbackReason ?? '', route?.gateway ?? '', trans),
      trans.__('Everything works meanwhile, through the notebook server.')
    ];
  }
  if (connectivityProblem && status !== 'connected') {
    return connectivityAdvice(connectivityProblem, trans);
  }
  if (isSilent(connection)) {
    return [
      trans.__(
        'The gateway does not answer. Its computer may be suspended or overloaded: nothing is lost, and cells that you run meanwhile wait until it answers again.'
      )
    ];
  }
  if (level === 'lost' || level === 'busy') {
    return [
      trans.__(
        'The page connects again by itself; cells that you run meanwhile wait. If it does not connect, check that the notebook server and the gateway run.'
      )
    ];
  }
  return [];
}
