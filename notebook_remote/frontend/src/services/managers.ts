/*
 * JupyterLab's managers of kernels, kernelspecs and sessions, with clients of our own: the WebSockets
 * of kernels may go to a gateway directly, and in browser mode the requests about its kernels as well.
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

import { BrowserGateways } from '../browser/registry';
import { FindEndpoints } from '../channels/connect';
import { requestEndpoints } from '../channels/endpoints';
import { Routes } from '../channels/routes';
import { channelsSocketClass } from '../channels/socket';
import { backends, gateways, hasEmbeddedGateway } from '../server/config';
import { Connectivity } from '../server/connectivity';
import { fetchWithPageMessages } from '../server/errorMessages';
import { TrackingKernelManager } from './kernelManager';
import { RoutingKernelClient } from './kernels';
import { RoutingKernelspecClient } from './kernelspecs';
import { isTreePage } from './pendingKernel';
import { placeholderKernelspecs, withPlaceholder } from './placeholders';
import { RoutingSessionClient } from './sessions';

/** Creates the managers of a page. */
export class Managers {
  constructor(
    private readonly _routes: Routes,
    private readonly _gateways: BrowserGateways,
    private readonly _connectivity: Connectivity,
    private readonly _connectionStatus: IConnectionStatus | null
  ) {
    const { settings } = _connectivity;
    this._server = { ...settings, fetch: fetchWithPageMessages(settings.fetch) };
    this._hasBrowserGateways = _gateways.all().length > 0;
    this._kernels = new RoutingKernelClient(
      this._server,
      _gateways,
      id => this._kernelManager?.isDisconnected(id) ?? true
    );
    this._kernelspecs = new RoutingKernelspecClient(this._server, _gateways);
    _connectivity.changed.connect((_, problem) => problem || this._kernelManager?.reconnectAll());
  }

  kernels(): Kernel.IManager {
    const server = this._server;
    const relayOnly = gateways().every(({ mode }) => mode === 'proxy');
    const Socket = relayOnly
      ? server.WebSocket
      : channelsSocketClass(this._routes, server, this._findEndpoints);
    const client = this._kernels;
    if (this._usesPlaceholders) {
      const list = client.listRunning.bind(client);
      client.listRunning = withPlaceholder(list, [], () => manager.refreshRunning());
    }
    const manager: TrackingKernelManager = new TrackingKernelManager({
      serverSettings: { ...server, WebSocket: this._connectivity.watchWebSockets(Socket) },
      kernelAPIClient: this._hasBackends ? client : undefined,
      kernelSpecAPIClient: this._hasBrowserGateways ? this._kernelspecs : undefined,
      standby: this._standby
    });
    return (this._kernelManager = manager);
  }

  kernelspecs(): KernelSpec.IManager {
    const request = () => KernelSpecAPI.getSpecs(this._server);
    const placeholderClient = {
      serverSettings: this._server,
      get: withPlaceholder(request, placeholderKernelspecs(), () => manager.refreshSpecs())
    };
    const ownClient = this._usesPlaceholders ? placeholderClient : undefined;
    const manager: KernelSpec.IManager = new KernelSpecManager({
      serverSettings: this._gateways.only?.settings ?? this._server,
      kernelSpecAPIClient: this._hasBrowserGateways ? this._kernelspecs : ownClient,
      standby: this._standby
    });
    return manager;
  }

  sessions(kernelManager: Kernel.IManager): Session.IManager {
    const client = new RoutingSessionClient(this._server, this._gateways, this._kernels);
    if (this._usesPlaceholders) {
      const list = client.listRunning.bind(client);
      client.listRunning = withPlaceholder(list, [], () => manager.refreshRunning());
    }
    const manager: Session.IManager = new SessionManager({
      kernelManager,
      serverSettings: this._server,
      sessionAPIClient: this._hasBackends ? client : undefined,
      standby: this._standby
    });
    return manager;
  }

  private readonly _findEndpoints: FindEndpoints = async (channels, protocols, signal) => {
    const gateway = this._hasBrowserGateways
      ? await this._gateways.forKernel(channels.kernelId)
      : undefined;
    return gateway
      ? gateway.endpoints(channels, signal)
      : requestEndpoints(channels, protocols, this._server, signal);
  };

  // The same as in JupyterLab's own plugins.
  private readonly _standby = () => !this._connectionStatus?.isConnected || 'when-hidden';

  private readonly _server: ServerConnection.ISettings;
  private readonly _hasBackends = backends().length > 0; // none with a server that is not ours
  private readonly _usesPlaceholders = hasEmbeddedGateway() && isTreePage();
  private readonly _hasBrowserGateways: boolean;
  private readonly _kernels: RoutingKernelClient;
  private readonly _kernelspecs: RoutingKernelspecClient;
  private _kernelManager: TrackingKernelManager | null = null;
}
