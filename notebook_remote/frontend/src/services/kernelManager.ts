/* JupyterLab's kernel manager, which keeps track of this page's connections to kernels. */

import { Kernel, KernelManager } from '@jupyterlab/services';

export class TrackingKernelManager extends KernelManager {
  connectTo(options: Kernel.IKernelConnection.IOptions): Kernel.IKernelConnection {
    return this._track(super.connectTo(options));
  }

  /** Whether a connection to this kernel is not open. */
  isDisconnected(id: string): boolean {
    return this._disconnected().some(connection => connection.id === id);
  }

  /** Reconnect now what is not connected, without the delay before the next attempt. */
  reconnectAll(): void {
    this._disconnected().forEach(connection => void connection.reconnect().catch(() => undefined));
  }

  private _track(connection: Kernel.IKernelConnection): Kernel.IKernelConnection {
    const clone = connection.clone.bind(connection);
    connection.clone = options => this._track(clone(options));
    this._connections.add(connection);
    connection.disposed.connect(() => this._connections.delete(connection));
    return connection;
  }

  private _disconnected(): Kernel.IKernelConnection[] {
    return [...this._connections].filter(
      ({ connectionStatus }) => connectionStatus !== 'connected'
    );
  }

  private readonly _connections = new Set<Kernel.IKernelConnection>();
}
