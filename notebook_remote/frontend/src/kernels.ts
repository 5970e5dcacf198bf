/* The stock kernel manager, whose sockets may go to a gateway. */

import { IConnectionStatus, Kernel, KernelManager, ServerConnection } from '@jupyterlab/services';

import { gateways } from './config';
import { channelsSocketClass } from './facade';
import { Routes } from './routes';

/** A kernel manager for the page; the stock one in every respect if no gateway is direct. */
export function makeKernelManager(
  routes: Routes,
  serverSettings: ServerConnection.ISettings,
  connectionStatus: IConnectionStatus | null
): Kernel.IManager {
  const direct = gateways().some(({ mode }) => mode === 'direct');
  const settings = direct
    ? { ...serverSettings, WebSocket: channelsSocketClass(routes, serverSettings) }
    : serverSettings;
  return new KernelManager({
    serverSettings: settings,
    standby: () => !connectionStatus?.isConnected || 'when-hidden' // as the stock plugin
  });
}
