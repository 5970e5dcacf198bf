/* The dialog behind the indicator: what is known of the connection, and what to do. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { knock } from '../channels/dial';
import { adviceOn } from '../notifications/serverUnreachable';
import { duration, IConnection, isFallback, isSilent, statusOf, whyNotDirect } from './status';
import { whatIsWrong } from '../server/errorMessages';

/** Show the details. Resolves with whether the user wants to connect again. */
export async function showDetails(
  connection: IConnection,
  keep: Widget,
  trans: TranslationBundle
): Promise<boolean> {
  const { level } = statusOf(connection, trans);
  const close = Dialog.cancelButton({ label: trans.__('Close') });
  const again = Dialog.okButton({
    label: isFallback(connection) ? trans.__('Try Direct Again') : trans.__('Connect Again')
  });
  const result = await showDialog({
    title: trans.__('Connection to the Kernel'),
    body: new Details(connection, keep, trans),
    buttons: level === 'good' ? [close] : [close, again],
    defaultButton: 0
  });
  return result.button.accept;
}

class Details extends Widget {
  constructor(connection: IConnection, keep: Widget, trans: TranslationBundle) {
    super();
    this.addClass('nbr-Details');
    this.node.append(this._list);
    const { backend, route, link } = connection;
    const { state } = statusOf(connection, trans);
    this._add(trans.__('Kernel on'), backend.label, route?.gateway ?? '');
    this._add(trans.__('Connected'), way(connection, trans));
    this._add(trans.__('State'), state);
    if (connection.status === 'connected') {
      this._addTimes(connection, trans);
    }
    if (link?.reconnects) {
      this._add(trans.__('Reconnects'), String(link.reconnects));
    }
    if (link?.last_error && !connection.obstacle) {
      this._add(trans.__('Last error'), whatIsWrong(link.last_error));
    }
    this._advise(advice(connection, trans));
    this.node.append(keep.node);
  }

  private _addTimes({ route, link }: IConnection, trans: TranslationBundle): void {
    const trip = this._add(trans.__('Round trip'), trans.__('not measured yet'));
    if (route?.kind === 'direct') {
      void measure(route.gateway, trip, trans);
    } else if (link) {
      const { browser, gateway } = link.round_trip_time;
      const legs = [
        browser !== null && trans.__('page to notebook server %1', duration(browser)),
        gateway !== null && trans.__('notebook server to gateway %1', duration(gateway))
      ];
      trip.textContent = legs.filter(Boolean).join(', ') || trip.textContent;
    }
    if (route?.took) {
      this._add(trans.__('Opened in'), duration(route.took / 1000));
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

  private _advise(sentences: string[]): void {
    for (const sentence of sentences) {
      const paragraph = document.createElement('p');
      paragraph.textContent = sentence;
      this.node.append(paragraph);
    }
  }

  private readonly _list = document.createElement('dl');
}

function way(connection: IConnection, trans: TranslationBundle): string {
  return connection.route?.kind === 'direct'
    ? trans.__('directly, from this page')
    : trans.__('through the notebook server');
}

/** The second answer counts: the first may have to open a connection. */
async function measure(base: string, trip: HTMLElement, trans: TranslationBundle): Promise<void> {
  try {
    await knock(base);
    const milliseconds = await knock(base);
    trip.textContent = trans.__('page to gateway %1', duration(milliseconds / 1000));
  } catch {
    trip.textContent = trans.__('the gateway does not answer this page');
  }
}

function advice(connection: IConnection, trans: TranslationBundle): string[] {
  const { route, status, obstacle } = connection;
  const { level } = statusOf(connection, trans);
  if (isFallback(connection)) {
    return [
      ...whyNotDirect(route?.why ?? '', route?.gateway ?? '', trans),
      trans.__('Everything works meanwhile, through the notebook server.')
    ];
  }
  if (obstacle && status !== 'connected') {
    return adviceOn(obstacle, trans);
  }
  if (isSilent(connection)) {
    return [
      trans.__(
        'The gateway does not answer. Its machine may stand still for a while: nothing is lost then, and cells that are run meanwhile run when it goes on.'
      )
    ];
  }
  if (level === 'lost' || level === 'busy') {
    return [
      trans.__(
        'The page connects again by itself; cells that are run meanwhile wait. If it stays like this, check that the notebook server and the gateway run.'
      )
    ];
  }
  return [];
}
