/*
 * The stock managers of kernels, kernelspecs and sessions. The sockets of their kernels may go to a
 * gateway; in browser mode all that concerns kernels does, and the stock clients are given others.
 */

import {
  IConnectionStatus,
  Kernel,
  KernelManager,
  KernelSpec,
  KernelSpecAPI,
  KernelSpecManager,
  ServerConnection,
  Session,
  SessionManager
} from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';

import { gateways } from './config';
import { channelsSocketClass } from './facade';
import { BrowserGateway } from './gateway';
import { askForPlaces } from './places';
import { Routes } from './routes';
import { GatewayKernels, ReportedSessions } from './sessions';

export const IManagers = new Token<Managers>(
  'notebook-remote:IManagers',
  'Makes the stock managers, whose requests may go to a gateway.'
);

/** Makes the managers of a page; stock ones in every respect if no gateway is direct or browser. */
export class Managers {
  constructor(
    private readonly _routes: Routes,
    private readonly _gateway: BrowserGateway | null,
    private readonly _server: ServerConnection.ISettings,
    private readonly _connectionStatus: IConnectionStatus | null
  ) {}

  kernels(): Kernel.IManager {
    const gateway = this._gateway;
    if (gateway) {
      const settings = this._atGateway(gateway);
      const WebSocket = channelsSocketClass(this._routes, settings, (target, _, signal) =>
        gateway.places(target, signal)
      );
      return new KernelManager({
        serverSettings: { ...settings, WebSocket },
        kernelAPIClient: this._gatewayKernels(gateway),
        kernelSpecAPIClient: this._gatewaySpecs(gateway),
        standby: this._standby
      });
    }
    const server = this._server;
    const direct = gateways().some(({ mode }) => mode === 'direct');
    const WebSocket = direct
      ? channelsSocketClass(this._routes, server, (target, protocols, signal) =>
          askForPlaces(target, protocols, server, signal)
        )
      : server.WebSocket;
    return new KernelManager({
      serverSettings: { ...server, WebSocket },
      standby: this._standby
    });
  }

  kernelspecs(): KernelSpec.IManager {
    const gateway = this._gateway;
    return new KernelSpecManager({
      serverSettings: gateway ? this._atGateway(gateway) : this._server,
      kernelSpecAPIClient: gateway ? this._gatewaySpecs(gateway) : undefined,
      standby: this._standby
    });
  }

  sessions(kernelManager: Kernel.IManager): Session.IManager {
    const gateway = this._gateway;
    return new SessionManager({
      kernelManager,
      serverSettings: this._server,
      sessionAPIClient: gateway
        ? new ReportedSessions(this._server, this._gatewayKernels(gateway))
        : undefined,
      standby: this._standby
    });
  }

  private _atGateway(gateway: BrowserGateway): ServerConnection.ISettings {
    return gateway.settings(this._server);
  }

  private _gatewayKernels(gateway: BrowserGateway): GatewayKernels {
    return new GatewayKernels(gateway.backend, this._atGateway(gateway), this._server);
  }

  private _gatewaySpecs(gateway: BrowserGateway): KernelSpec.IKernelSpecAPIClient {
    const serverSettings = this._atGateway(gateway);
    return { serverSettings, get: () => withoutLogos(KernelSpecAPI.getSpecs(serverSettings)) };
  }

  private readonly _standby = () =>
    !this._connectionStatus?.isConnected || 'when-hidden'; // as the stock plugins
}

/** A logo's address is one of the gateway's, where an image cannot say who asks for it. */
async function withoutLogos(answer: Promise<KernelSpec.ISpecModels>): Promise<KernelSpec.ISpecModels> {
  const { kernelspecs, ...rest } = await answer;
  const bare = Object.entries(kernelspecs).map(([name, spec]) => [name, { ...spec, resources: {} }]);
  return { ...rest, kernelspecs: Object.fromEntries(bare) };
}
