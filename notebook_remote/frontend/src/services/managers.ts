/*
 * The stock managers of kernels, kernelspecs and sessions, with clients of our own: the sockets of
 * kernels may go to a gateway; in browser mode all that concerns its kernels does.
 */

import {
  IConnectionStatus,
  Kernel,
  KernelSpec,
  KernelSpecAPI,
  KernelSpecManager,
  ServerConnection,
  Session,
  SessionManager
} from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';

import { backends, gateways, startsHere } from '../server/config';
import { ConnectedKernels } from './kernelManager';
import { early, earlySpecs } from './placeholders';
import { channelsSocketClass } from '../channels/socket';
import { BrowserGateways } from '../browser/registry';
import { RoutedKernels } from './kernels';
import { AskForPlaces } from '../channels/connect';
import { askForPlaces } from '../channels/endpoints';
import { Reach } from '../server/connectivity';
import { Routes } from '../channels/routes';
import { RoutedSessions } from './sessions';
import { RoutedSpecs } from './kernelspecs';
import { opensTabs } from './pendingKernel';
import { wordedForPages } from '../server/errorMessages';

export const IManagers = new Token<Managers>(
  'notebook-remote:IManagers',
  'Makes the stock managers, whose requests may go to a gateway.'
);

/** Makes the managers of a page. */
export class Managers {
  constructor(
    private readonly _routes: Routes,
    private readonly _gateways: BrowserGateways,
    private readonly _reach: Reach,
    private readonly _connectionStatus: IConnectionStatus | null
  ) {
    this._server = { ..._reach.settings, fetch: wordedForPages(_reach.settings.fetch) };
    this._routed = _gateways.all().length > 0;
    this._kernels = new RoutedKernels(
      this._server,
      _gateways,
      id => this._kernelManager?.isAwaited(id) ?? true
    );
    this._specs = new RoutedSpecs(this._server, _gateways);
    _reach.changed.connect((_, obstacle) => obstacle || this._kernelManager?.reconnect());
  }

  kernels(): Kernel.IManager {
    const server = this._server;
    const stock = gateways().every(({ mode }) => mode === 'proxy');
    const Socket = stock
      ? server.WebSocket
      : channelsSocketClass(this._routes, server, this._askForPlaces);
    const client = this._kernels;
    if (this._early) {
      client.listRunning = early(client.listRunning.bind(client), [], () =>
        manager.refreshRunning()
      );
    }
    const manager: ConnectedKernels = new ConnectedKernels({
      serverSettings: { ...server, WebSocket: this._reach.watch(Socket) },
      kernelAPIClient: this._ours ? client : undefined,
      kernelSpecAPIClient: this._routed ? this._specs : undefined,
      standby: this._standby
    });
    return (this._kernelManager = manager);
  }

  kernelspecs(): KernelSpec.IManager {
    const ask = () => KernelSpecAPI.getSpecs(this._server);
    const whileStarting = {
      serverSettings: this._server,
      get: early(ask, earlySpecs(), () => manager.refreshSpecs())
    };
    const manager: KernelSpec.IManager = new KernelSpecManager({
      serverSettings: this._gateways.alone?.settings ?? this._server,
      kernelSpecAPIClient: this._routed ? this._specs : this._early ? whileStarting : undefined,
      standby: this._standby
    });
    return manager;
  }

  sessions(kernelManager: Kernel.IManager): Session.IManager {
    const client = new RoutedSessions(this._server, this._gateways, this._kernels);
    if (this._early) {
      client.listRunning = early(client.listRunning.bind(client), [], () =>
        manager.refreshRunning()
      );
    }
    const manager: Session.IManager = new SessionManager({
      kernelManager,
      serverSettings: this._server,
      sessionAPIClient: this._ours ? client : undefined,
      standby: this._standby
    });
    return manager;
  }

  private readonly _askForPlaces: AskForPlaces = async (target, protocols, signal) => {
    const gateway = this._routed ? await this._gateways.ofKernel(target.kernelId) : undefined;
    return gateway
      ? gateway.places(target, signal)
      : askForPlaces(target, protocols, this._server, signal);
  };

  private readonly _standby = () => !this._connectionStatus?.isConnected || 'when-hidden'; // as the stock plugins

  private readonly _server: ServerConnection.ISettings;
  private readonly _ours = backends().length > 0; // else the server's managers are not ours either
  private readonly _early = startsHere() && opensTabs(); // whether lists may be late at first
  private readonly _routed: boolean;
  private readonly _kernels: RoutedKernels;
  private readonly _specs: RoutedSpecs;
  private _kernelManager: ConnectedKernels | null = null;
}
