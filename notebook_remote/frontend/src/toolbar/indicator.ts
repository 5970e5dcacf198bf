/* The indicator in a notebook's toolbar: the kernel's gateway, and the status of the connection. */

import { ISessionContext } from '@jupyterlab/apputils';
import { Kernel, KernelSpec, ServerConnection } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { BrowserGateways } from '../browser/registry';
import { IKernelStart } from '../server/api';
import { backendLabel, backendOfKernelspec, backendsChanged, gateways } from '../server/config';
import { Links } from '../server/links';
import { IConnectivity, IRoutes } from '../tokens';
import { showDetails } from './detailsDialog';
import { KeepKernelCheckbox } from './keepKernel';
import { confirmCancel, describeStart, StartProgress } from './startProgress';
import { formatDuration, IConnectionInfo, isSilent, statusOf } from './status';

// Milliseconds.
const LOST_DELAY = 1500; // so that a restart does not look like a lost connection
const COUNTER_INTERVAL = 1000;

export interface IIndicatorOptions {
  sessionContext: ISessionContext;
  specs: KernelSpec.IManager;
  settings: ServerConnection.ISettings;
  routes: IRoutes;
  browserGateways: BrowserGateways;
  connectivity: IConnectivity;
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
    this._announcement.className = 'nbr-Indicator-spoken';
    this._announcement.setAttribute('role', 'status'); // a polite live region
    this.node.append(this._button, this._announcement);
    this._tabStop.observe(this._button, { attributeFilter: ['tabindex'] });

    const { sessionContext, specs, settings, routes, connectivity, links } = _options;
    this._start = new StartProgress(sessionContext, settings);
    this._start.changed.connect(this.update, this);
    specs.specsChanged.connect(this.update, this);
    backendsChanged.connect(this.update, this);
    sessionContext.connectionStatusChanged.connect(this._onStatus, this);
    sessionContext.kernelChanged.connect(this._onKernel, this);
    routes.changed.connect(this.update, this);
    connectivity.changed.connect(this.update, this);
    links.changed.connect(this.update, this);
    this._onKernel();
  }

  dispose(): void {
    window.clearTimeout(this._lostTimer);
    window.clearTimeout(this._counter);
    this._tabStop.disconnect();
    const { sessionContext, specs, routes, connectivity, links } = this._options;
    this._start.dispose();
    specs.specsChanged.disconnect(this.update, this);
    backendsChanged.disconnect(this.update, this);
    sessionContext.connectionStatusChanged.disconnect(this._onStatus, this);
    sessionContext.kernelChanged.disconnect(this._onKernel, this);
    routes.changed.disconnect(this.update, this);
    connectivity.changed.disconnect(this.update, this);
    links.unfollow(this);
    links.changed.disconnect(this.update, this);
    super.dispose();
  }

  protected onUpdateRequest(_: Message): void {
    const start = this._start.current;
    if (start) {
      this._showStart(start);
      return;
    }
    const connection = this._connection();
    this.setHidden(connection === null);
    const { mode } = connection?.backend ?? { mode: 'local' };
    const direct = mode === 'browser' || connection?.route?.kind === 'direct';
    const { links, trans } = this._options;
    if (connection === null || direct) {
      links.unfollow(this);
    } else {
      links.follow(this);
    }
    if (connection === null) {
      return;
    }
    const { level, state, mode: modeText } = statusOf(connection, trans);
    const { label } = connection.backend;
    const text = [label, modeText, state].filter(Boolean).join(', ');
    const up = connection.status === 'connected' && !isSilent(connection);
    this.node.dataset.level = level;
    this._label.textContent = [label, up ? modeText : state].filter(Boolean).join(' · ');
    this._button.setAttribute('aria-label', trans.__('Connection to the kernel: %1', text));
    this._button.title = [text, this._durations(connection)].filter(Boolean).join('\n');
    this._announce(level, text);
    if (level === 'busy') {
      window.clearTimeout(this._counter);
      this._counter = window.setTimeout(() => this.update(), COUNTER_INTERVAL);
    }
  }

  private _showStart(start: IKernelStart): void {
    const { trans } = this._options;
    const state = describeStart(start, trans);
    this.setHidden(false);
    this.node.dataset.level = 'busy';
    const label = backendLabel(start.backend);
    this._label.textContent = `${label} · ${state}`;
    const text = trans.__('The kernel on %1: %2', label, state);
    this._button.setAttribute('aria-label', text);
    this._button.title = trans.__('Click to see more, or to cancel the start.');
  }

  /** What the page knows about the connection; null if there is no kernel, or it is not on a gateway. */
  private _connection(): IConnectionInfo | null {
    const { sessionContext, specs, routes, connectivity, links } = this._options;
    const kernel = sessionContext.session?.kernel;
    if (!kernel) {
      return null;
    }
    const route = routes.get(kernel.clientId);
    const link = links.get(kernel.clientId);
    const name =
      route?.backend || link?.backend || backendOfKernelspec(kernel.name, specs.specs)?.name;
    const backend = gateways().find(gateway => gateway.name === name);
    return backend
      ? {
          backend,
          status: kernel.connectionStatus,
          connectivityProblem: connectivity.problem,
          lostAt: this._lostAt,
          connectingFor: (Date.now() - this._connectingSince) / 1000,
          route,
          link
        }
      : null;
  }

  private _durations({ route, link }: IConnectionInfo): string {
    const { trans } = this._options;
    if (route?.kind === 'direct') {
      return trans.__('opened in %1', formatDuration(route.openedIn / 1000));
    }
    const { browser, gateway } = link?.round_trip_time ?? { browser: null, gateway: null };
    return browser === null && gateway === null
      ? ''
      : trans.__('round trip %1', formatDuration((browser ?? 0) + (gateway ?? 0)));
  }

  /** Announce changes to screen readers, except that a new connection is good. */
  private _announce(level: string, text: string): void {
    if (level !== 'busy' && level !== this._announcedLevel) {
      if (level !== 'good' || this._announcedLevel) {
        this._announcement.textContent = text;
      }
      this._announcedLevel = level;
    }
  }

  private _onKernel(): void {
    this._lostAt = this._openKernel = null;
    this._connectingSince = Date.now();
    const kernel = this._options.sessionContext.session?.kernel;
    if (kernel) {
      this._onStatus(this._options.sessionContext, kernel.connectionStatus);
    }
    this.update();
  }

  private _onStatus(_: ISessionContext, status: Kernel.ConnectionStatus): void {
    const id = this._options.sessionContext.session?.kernel?.id ?? null;
    if (status === 'connected') {
      window.clearTimeout(this._lostTimer);
      this._lostTimer = 0;
      this._lostAt = null;
      this._openKernel = id;
    } else if (id !== null && this._openKernel === id && !this._lostTimer) {
      const since = new Date();
      this._lostTimer = window.setTimeout(() => {
        this._lostAt = since;
        this.update();
      }, LOST_DELAY);
    }
    this.update();
  }

  private async _showDetails(): Promise<void> {
    const start = this._start.current;
    if (start) {
      if (await confirmCancel(start, this._options.trans)) {
        await this._start.cancel(start);
      }
      return;
    }
    const connection = this._connection();
    const kernelId = this._options.sessionContext.session?.kernel?.id ?? '';
    const keepKernel = new KeepKernelCheckbox(
      kernelId,
      this._options.settings,
      this._options.trans
    );
    if (connection && (await showDetails(connection, keepKernel, this._options.trans))) {
      this._options.routes.retryDirect();
      // The user may have declined to enter the token before.
      this._options.browserGateways.get(connection.backend.name)?.credentials.allowPrompt();
      await this._options.sessionContext.session?.kernel?.reconnect();
    }
  }

  private readonly _start: StartProgress;
  private readonly _button = document.createElement('button');
  // The toolbar gives one of its items the only tab stop. If that item is hidden the keyboard reaches
  // nothing in the toolbar; so the indicator is always a tab stop.
  private readonly _tabStop = new MutationObserver(() => {
    if (this._button.tabIndex !== 0) {
      this._button.tabIndex = 0;
    }
  });
  private readonly _dot = document.createElement('span');
  private readonly _label = document.createElement('span');
  private readonly _announcement = document.createElement('span');
  private _lostAt: Date | null = null;
  private _openKernel: string | null = null; // the id of the kernel, once its channels were open
  private _announcedLevel = '';
  private _lostTimer = 0;
  private _connectingSince = Date.now(); // when the notebook got this kernel
  private _counter = 0;
}
