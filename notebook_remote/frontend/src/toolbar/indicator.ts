/* In the notebook's toolbar: which gateway the kernel runs on, and how it is connected. */

import { ISessionContext } from '@jupyterlab/apputils';
import { Kernel, KernelSpec, ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { backendOf, gateways, labelOf } from '../server/config';
import { showDetails } from './detailsDialog';
import { IStart } from '../server/api';
import { BrowserGateways } from '../browser/registry';
import { Keep } from './keepKernel';
import { Links } from '../server/links';
import { IReach } from '../server/connectivity';
import { IRoutes } from '../channels/routes';
import { askToCancel, startInWords, Starting } from './startProgress';
import { duration, IConnection, isSilent, statusOf } from './status';

const LOST_AFTER = 1500; // milliseconds without a connection: a restart is not worth a word

const COUNT_EVERY = 1000; // milliseconds

export interface IIndicatorOptions {
  sessionContext: ISessionContext;
  specs: KernelSpec.IManager;
  settings: ServerConnection.ISettings;
  routes: IRoutes;
  browserGateways: BrowserGateways;
  reach: IReach;
  links: Links;
  trans: TranslationBundle;
}

export class Indicator extends Widget {
  constructor(private readonly _options: IIndicatorOptions) {
    super();
    this.addClass('nbr-Indicator');
    this._button.type = 'button';
    this._button.append(this._dot, this._label);
    this._button.addEventListener('click', () => void this._showDetails());
    this._dot.className = 'nbr-Indicator-dot';
    this._dot.setAttribute('aria-hidden', 'true');
    this._spoken.className = 'nbr-Indicator-spoken';
    this._spoken.setAttribute('role', 'status'); // a polite live region
    this.node.append(this._button, this._spoken);
    this._tabStop.observe(this._button, { attributeFilter: ['tabindex'] });

    const { sessionContext, specs, settings, routes, reach, links } = _options;
    this._starting = new Starting(sessionContext, settings);
    this._starting.changed.connect(this.update, this);
    specs.specsChanged.connect(this.update, this);
    sessionContext.connectionStatusChanged.connect(this._onStatus, this);
    sessionContext.kernelChanged.connect(this._onKernel, this);
    routes.changed.connect(this.update, this);
    reach.changed.connect(this.update, this);
    links.changed.connect(this.update, this);
    this._onKernel();
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    window.clearTimeout(this._counting);
    this._tabStop.disconnect();
    const { sessionContext, specs, routes, reach, links } = this._options;
    this._starting.dispose();
    specs.specsChanged.disconnect(this.update, this);
    sessionContext.connectionStatusChanged.disconnect(this._onStatus, this);
    sessionContext.kernelChanged.disconnect(this._onKernel, this);
    routes.changed.disconnect(this.update, this);
    reach.changed.disconnect(this.update, this);
    links.follow(this, false);
    links.changed.disconnect(this.update, this);
    super.dispose();
  }

  protected onUpdateRequest(_: Message): void {
    const start = this._starting.now;
    if (start) {
      this._showStart(start);
      return;
    }
    const connection = this._connection();
    this.setHidden(connection === null);
    const { mode } = connection?.backend ?? { mode: 'local' };
    const direct = mode === 'browser' || connection?.route?.kind === 'direct';
    this._options.links.follow(this, connection !== null && !direct);
    if (connection === null) {
      return;
    }
    const { trans } = this._options;
    const { level, state, ...used } = statusOf(connection, trans);
    const { label } = connection.backend;
    const said = [label, used.mode, state].filter(Boolean).join(', ');
    const up = connection.status === 'connected' && !isSilent(connection);
    this.node.dataset.level = level;
    this._label.textContent = [label, up ? used.mode : state].filter(Boolean).join(' · ');
    this._button.setAttribute('aria-label', trans.__('Connection to the kernel: %1', said));
    this._button.title = [said, this._roundTrip(connection)].filter(Boolean).join('\n');
    this._speak(level, said);
    if (level === 'busy') {
      window.clearTimeout(this._counting);
      this._counting = window.setTimeout(() => this.update(), COUNT_EVERY);
    }
  }

  private _showStart(start: IStart): void {
    const { trans } = this._options;
    const state = startInWords(start, trans);
    this.setHidden(false);
    this.node.dataset.level = 'busy';
    const label = labelOf(start.backend);
    this._label.textContent = `${label} · ${state}`;
    const said = trans.__('The kernel on %1: %2', label, state);
    this._button.setAttribute('aria-label', said);
    this._button.title = trans.__('Click to see more, or to cancel the start.');
  }

  /** What the page knows now; null if there is no kernel, or not one on a gateway. */
  private _connection(): IConnection | null {
    const { sessionContext, specs, routes, reach, links } = this._options;
    const kernel = sessionContext.session?.kernel;
    if (!kernel) {
      return null;
    }
    const route = routes.get(kernel.clientId);
    const link = links.get(kernel.clientId);
    const name = route?.backend || link?.backend || backendOf(kernel.name, specs.specs)?.name;
    const backend = gateways().find(gateway => gateway.name === name);
    return backend
      ? {
          backend,
          status: kernel.connectionStatus,
          obstacle: reach.obstacle,
          lostAt: this._lostAt,
          waiting: (Date.now() - this._since) / 1000,
          route,
          link
        }
      : null;
  }

  private _roundTrip({ route, link }: IConnection): string {
    const { trans } = this._options;
    if (route?.kind === 'direct') {
      return trans.__('opened in %1', duration(route.took / 1000));
    }
    const { browser, gateway } = link?.round_trip_time ?? { browser: null, gateway: null };
    return browser === null && gateway === null
      ? ''
      : trans.__('round trip %1', duration((browser ?? 0) + (gateway ?? 0)));
  }

  /** Tell a screen reader when things become worse or better, and not that all is well. */
  private _speak(level: string, said: string): void {
    if (level !== 'busy' && level !== this._spokenLevel) {
      if (level !== 'good' || this._spokenLevel) {
        this._spoken.textContent = said;
      }
      this._spokenLevel = level;
    }
  }

  private _onKernel(): void {
    this._lostAt = this._openedFor = null;
    this._since = Date.now();
    const kernel = this._options.sessionContext.session?.kernel;
    if (kernel) {
      this._onStatus(this._options.sessionContext, kernel.connectionStatus);
    }
    this.update();
  }

  private _onStatus(_: ISessionContext, status: Kernel.ConnectionStatus): void {
    const id = this._options.sessionContext.session?.kernel?.id ?? null;
    if (status === 'connected') {
      window.clearTimeout(this._timer);
      this._timer = 0;
      this._lostAt = null;
      this._openedFor = id;
    } else if (id !== null && this._openedFor === id && !this._timer) {
      const since = new Date();
      this._timer = window.setTimeout(() => {
        this._lostAt = since;
        this.update();
      }, LOST_AFTER);
    }
    this.update();
  }

  private async _showDetails(): Promise<void> {
    const start = this._starting.now;
    if (start) {
      if (await askToCancel(start, this._options.trans)) {
        await this._starting.cancel(start);
      }
      return;
    }
    const connection = this._connection();
    const kernelId = this._options.sessionContext.session?.kernel?.id ?? '';
    const keep = new Keep(kernelId, this._options.settings, this._options.trans);
    if (connection && (await showDetails(connection, keep, this._options.trans))) {
      this._options.routes.retryDirect();
      // Whoever did not enter the token may want to now.
      this._options.browserGateways.get(connection.backend.name)?.credentials.askAgain();
      await this._options.sessionContext.session?.kernel?.reconnect();
    }
  }

  private readonly _starting: Starting;
  private readonly _button = document.createElement('button');
  // The toolbar leaves one tab stop for all its items, which may be a hidden one: then nothing in
  // it can be reached with the keyboard.
  private readonly _tabStop = new MutationObserver(() => {
    if (this._button.tabIndex !== 0) {
      this._button.tabIndex = 0;
    }
  });
  private readonly _dot = document.createElement('span');
  private readonly _label = document.createElement('span');
  private readonly _spoken = document.createElement('span');
  private _lostAt: Date | null = null;
  private _openedFor: string | null = null; // the kernel whose channels have been open
  private _spokenLevel = '';
  private _timer = 0;
  private _since = Date.now(); // when this kernel was there
  private _counting = 0;
}
