/* The stock kernel manager, which knows the connections of this page that are not open. */

import { Kernel, KernelManager } from '@jupyterlab/services';

export class ConnectedKernels extends KernelManager {
  connectTo(options: Kernel.IKernelConnection.IOptions): Kernel.IKernelConnection {
    return this._note(super.connectTo(options));
  }

  /** Whether a connection to this kernel is not open. */
  isAwaited(id: string): boolean {
    return this._waiting().some(connection => connection.id === id);
  }

  /** Connect at once, instead of when the time for the next attempt has come. */
  reconnect(): void {
    this._waiting().forEach(connection => void connection.reconnect().catch(() => undefined));
  }

  private _note(connection: Kernel.IKernelConnection): Kernel.IKernelConnection {
    const clone = connection.clone.bind(connection);
    connection.clone = options => this._note(clone(options));
    this._connections.add(connection);
    connection.disposed.connect(() => this._connections.delete(connection));
    return connection;
  }

  private _waiting(): Kernel.IKernelConnection[] {
    return [...this._connections].filter(
      ({ connectionStatus }) => connectionStatus !== 'connected'
    );
  }

  private readonly _connections = new Set<Kernel.IKernelConnection>();
}
