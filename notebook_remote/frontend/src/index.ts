/* The plugins. Each works without the others; without all of them the page works as the stock one. */

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISessionContext, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import {
  IConnectionStatus,
  IKernelManager,
  IServerSettings,
  Kernel,
  ServerConnection,
  ServiceManagerPlugin
} from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import '../style/indicator.css';
import { gateways } from './config';
import { Indicator } from './indicator';
import { makeKernelManager } from './kernels';
import { Links } from './links';
import { watchForProblems } from './problems';
import { IRoutes, Routes } from './routes';

const DOMAIN = 'notebook_remote';

const routes: ServiceManagerPlugin<IRoutes> = {
  id: 'notebook-remote:routes',
  description: 'Knows which way the channels of each kernel go.',
  provides: IRoutes,
  activate: () => new Routes()
};

const kernelManager: ServiceManagerPlugin<Kernel.IManager> = {
  id: 'notebook-remote:kernel-manager',
  description: 'The stock kernel manager, whose channels may go to a gateway.',
  autoStart: true,
  provides: IKernelManager,
  requires: [IRoutes],
  optional: [IServerSettings, IConnectionStatus],
  activate: (
    _: null,
    routes: Routes,
    settings: ServerConnection.ISettings | null,
    connectionStatus: IConnectionStatus | null
  ) =>
    makeKernelManager(routes, settings ?? ServerConnection.makeSettings(), connectionStatus)
};

const indicator: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:indicator',
  description: "Shows in the notebook's toolbar how its kernel is connected.",
  autoStart: true,
  requires: [IRoutes],
  optional: [IToolbarWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    routes: IRoutes,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ) => {
    const known = gateways();
    if (!toolbars || known.length === 0) {
      return;
    }
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const links = new Links(app.serviceManager);
    toolbars.addFactory(
      'Notebook',
      'notebookRemote',
      ({ sessionContext }: Widget & { sessionContext: ISessionContext }) =>
        new Indicator({ sessionContext, gateways: known, routes, links, trans })
    );
  }
};

const problems: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:problems',
  description: 'Says why the gateway cannot be used.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) =>
    watchForProblems(app, (translator ?? nullTranslator).load(DOMAIN))
};

export default [routes, kernelManager, indicator, problems];
