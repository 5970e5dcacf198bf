/*
 * The stock managers of kernels, kernelspecs and sessions. The sockets of their kernels may go to a
 * gateway; in browser mode all that concerns its kernels does, by clients of our own.
 */

import {
  IConnectionStatus,
  Kernel,
  KernelManager,
  KernelSpec,
  KernelSpecManager,
  ServerConnection,
  Session,
  SessionManager
} from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';

import { gateways } from './config';
import { channelsSocketClass } from './facade';
import { BrowserGateways } from './gateways';
import { RoutedKernels } from './kernels';
import { AskForPlaces } from './opening';
import { askForPlaces } from './places';
import { Routes } from './routes';
import { RoutedSessions } from './sessions';
import { RoutedSpecs } from './specs';

export const IManagers = new Token<Managers>(
  'notebook-remote:IManagers',
  'Makes the stock managers, whose requests may go to a gateway.'
);

/** Makes the managers of a page; stock ones in every respect if no gateway is direct or browser. */
export class Managers {
  constructor(
    private readonly _routes: Routes,
    private readonly _gateways: BrowserGateways,
    private readonly _server: ServerConnection.ISettings,
    private readonly _connectionStatus: IConnectionStatus | null
  ) {
    this._routed = _gateways.all().length > 0;
    this._kernels = new RoutedKernels(_server, _gateways);
    this._specs = new RoutedSpecs(_server, _gateways);
  }

  kernels(): Kernel.IManager {
    const server = this._server;
    const stock = gateways().every(({ mode }) => mode === 'proxy');
    const WebSocket = stock
      ? server.WebSocket
      : channelsSocketClass(this._routes, server, this._askForPlaces);
    return new KernelManager({
      serverSettings: { ...server, WebSocket },
      kernelAPIClient: this._routed ? this._kernels : undefined,
      kernelSpecAPIClient: this._routed ? this._specs : undefined,
      standby: this._standby
    });
  }

  kernelspecs(): KernelSpec.IManager {
    return new KernelSpecManager({
      serverSettings: this._gateways.alone?.settings ?? this._server,
      kernelSpecAPIClient: this._routed ? this._specs : undefined,
      standby: this._standby
    });
  }

  sessions(kernelManager: Kernel.IManager): Session.IManager {
    return new SessionManager({
      kernelManager,
      serverSettings: this._server,
      sessionAPIClient: this._routed
        ? new RoutedSessions(this._server, this._gateways, this._kernels)
        : undefined,
      standby: this._standby
    });
  }

  private readonly _askForPlaces: AskForPlaces = async (target, protocols, signal) => {
    const gateway = this._routed ? await this._gateways.ofKernel(target.kernelId) : undefined;
    return gateway
      ? gateway.places(target, signal)
      : askForPlaces(target, protocols, this._server, signal);
  };

  private readonly _standby = () =>
    !this._connectionStatus?.isConnected || 'when-hidden'; // as the stock plugins

  private readonly _routed: boolean;
  private readonly _kernels: RoutedKernels;
  private readonly _specs: RoutedSpecs;
}
