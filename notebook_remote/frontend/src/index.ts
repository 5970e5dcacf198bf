/* The plugins. Without them the page works like JupyterLab's own, through the notebook server. */

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  ISessionContext,
  ISessionContextDialogs,
  IToolbarWidgetRegistry,
  showErrorMessage
} from '@jupyterlab/apputils';
import { IRunningSessionManagers } from '@jupyterlab/running';
import {
  IConnectionStatus,
  IKernelManager,
  IKernelSpecManager,
  IServerSettings,
  ISessionManager,
  Kernel,
  KernelSpec,
  ServerConnection,
  ServiceManagerPlugin,
  Session
} from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import '../style/indicator.css';
import { BrowserGateways } from './browser/registry';
import { promptForToken } from './browser/tokenDialog';
import { Routes } from './channels/routes';
import { notifyOfUnavailableGateway } from './notifications/gatewayUnavailable';
import { KernelGoneExtension } from './notifications/kernelGone';
import { notifyOfMissingWidgets } from './notifications/missingWidgets';
import { notifyOfConnectivity } from './notifications/serverUnreachable';
import { backends } from './server/config';
import { Connectivity } from './server/connectivity';
import { Links } from './server/links';
import { Managers } from './services/managers';
import { isTreePage, storePendingKernels } from './services/pendingKernel';
import { IBrowserGateways, IConnectivity, IManagers, IRoutes } from './tokens';
import { Indicator } from './toolbar/indicator';
import { GatewaysDialog } from './ui/gatewaysDialog';
import { KernelDialogs } from './ui/kernelDialog';
import { keepMenusInside } from './ui/menuPosition';
import { RunningGateways } from './ui/running';

const DOMAIN = 'notebook_remote';

const routes: ServiceManagerPlugin<IRoutes> = {
  id: 'notebook-remote:routes',
  description: 'Records which way the channels of each kernel connection go.',
  provides: IRoutes,
  activate: () => new Routes()
};

const browserGateways: ServiceManagerPlugin<BrowserGateways> = {
  id: 'notebook-remote:browser-gateways',
  description: 'The gateways in browser mode, which only pages contact.',
  provides: IBrowserGateways,
  optional: [IServerSettings],
  activate: (_: null, settings: ServerConnection.ISettings | null) =>
    new BrowserGateways(settings ?? ServerConnection.makeSettings())
};

const connectivity: ServiceManagerPlugin<Connectivity> = {
  id: 'notebook-remote:reach',
  description: 'Detects an expired login, and a proxy that blocks WebSockets.',
  provides: IConnectivity,
  optional: [IServerSettings],
  activate: (_: null, settings: ServerConnection.ISettings | null) =>
    new Connectivity(settings ?? ServerConnection.makeSettings())
};

const managers: ServiceManagerPlugin<Managers> = {
  id: 'notebook-remote:managers',
  description: "Creates JupyterLab's managers with clients of our own.",
  provides: IManagers,
  requires: [IRoutes, IBrowserGateways, IConnectivity],
  optional: [IConnectionStatus],
  activate: (
    _: null,
    routes: Routes,
    gateways: BrowserGateways,
    connectivity: Connectivity,
    connectionStatus: IConnectionStatus | null
  ) => new Managers(routes, gateways, connectivity, connectionStatus)
};

const kernelManager: ServiceManagerPlugin<Kernel.IManager> = {
  id: 'notebook-remote:kernel-manager',
  description: "JupyterLab's kernel manager, with channels that may go to a gateway directly.",
  autoStart: true,
  provides: IKernelManager,
  requires: [IManagers],
  activate: (_: null, managers: Managers) => managers.kernels()
};

const kernelSpecManager: ServiceManagerPlugin<KernelSpec.IManager> = {
  id: 'notebook-remote:kernel-spec-manager',
  description: "JupyterLab's kernelspec manager, with the gateways in browser mode.",
  autoStart: true,
  provides: IKernelSpecManager,
  requires: [IManagers],
  activate: (_: null, managers: Managers) => managers.kernelspecs()
};

const sessionManager: ServiceManagerPlugin<Session.IManager> = {
  id: 'notebook-remote:session-manager',
  description: "JupyterLab's session manager, with kernels on gateways in browser mode.",
  autoStart: true,
  provides: ISessionManager,
  requires: [IManagers, IKernelManager],
  activate: (_: null, managers: Managers, kernels: Kernel.IManager) => managers.sessions(kernels)
};

const token: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:token',
  description: 'Asks for the tokens of gateways in browser mode.',
  autoStart: true,
  requires: [IBrowserGateways],
  optional: [ITranslator],
  activate: (
    { serviceManager: { kernelspecs, sessions } }: JupyterFrontEnd,
    gateways: BrowserGateways,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    gateways.setPrompt((backend, problem) => promptForToken(backend, problem, trans));
    gateways.signedIn.connect(() => {
      void kernelspecs.refreshSpecs();
      void sessions.refreshRunning();
    });
  }
};

const indicator: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:indicator',
  description: "Shows the status of the kernel's connection in the notebook's toolbar.",
  autoStart: true,
  requires: [IRoutes, IBrowserGateways, IConnectivity],
  optional: [IToolbarWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    routes: IRoutes,
    browserGateways: BrowserGateways,
    connectivity: IConnectivity,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ) => {
    if (!toolbars || backends().length === 0) {
      return;
    }
    const { serverSettings: settings, kernelspecs: specs } = app.serviceManager;
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const links = new Links(app.serviceManager);
    toolbars.addFactory(
      'Notebook',
      'notebookRemote',
      ({ sessionContext }: Widget & { sessionContext: ISessionContext }) =>
        new Indicator({
          sessionContext,
          specs,
          settings,
          routes,
          browserGateways,
          connectivity,
          links,
          trans
        })
    );
  }
};

const kernelDialog: JupyterFrontEndPlugin<ISessionContextDialogs> = {
  id: 'notebook-remote:dialogs',
  description: "JupyterLab's kernel dialog, which shows the backends as well.",
  autoStart: true,
  provides: ISessionContextDialogs,
  optional: [ITranslator, ISettingRegistry],
  activate: (
    _: JupyterFrontEnd,
    translator: ITranslator | null,
    settingRegistry: ISettingRegistry | null
  ) => new KernelDialogs({ translator: translator ?? undefined, settingRegistry })
};

const running: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:running',
  description: 'Shows the gateways and their kernels on the Running page.',
  autoStart: true,
  optional: [IRunningSessionManagers, ITranslator],
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    managers: IRunningSessionManagers | null, // null in the page of a notebook
    translator: ITranslator | null
  ) => {
    if (managers && backends().length) {
      const { kernels, sessions, kernelspecs, serverSettings: settings } = serviceManager;
      const trans = (translator ?? nullTranslator).load(DOMAIN);
      const adopt = async (kernelId: string) => {
        const { path } = await serviceManager.contents.newUntitled({ type: 'notebook' });
        await ServerConnection.makeRequest(
          `${settings.baseUrl}api/sessions`,
          {
            method: 'POST',
            body: JSON.stringify({ path, name: path, type: 'notebook', kernel: { id: kernelId } })
          },
          settings
        );
        await commands.execute('docmanager:open', { path });
        await sessions.refreshRunning();
      };
      managers.add(new RunningGateways({ kernels, sessions, kernelspecs, settings, trans, adopt }));
    }
  }
};

const gatewaysDialog: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:gateways',
  description: 'Dialogs to list, add, test, change and remove gateways.',
  autoStart: true,
  requires: [IBrowserGateways],
  optional: [ITranslator],
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    gateways: BrowserGateways,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const isVisible = () => backends().length > 0;
    commands.addCommand('notebook-remote:gateways', {
      label: trans.__('Gateways…'),
      caption: trans.__('See, add and remove the gateways on which kernels run'),
      isVisible,
      isEnabled: isVisible,
      execute: () =>
        new GatewaysDialog(serviceManager, gateways, trans)
          .show()
          .catch(error => showErrorMessage(trans.__('Gateways'), error as Error))
    });
  }
};

const gatewayUnavailable: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:problems',
  description: 'Notifies users of an unavailable gateway, and of messages that were not sent.',
  autoStart: true,
  requires: [IBrowserGateways],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, gateways: BrowserGateways, translator: ITranslator | null) =>
    notifyOfUnavailableGateway(app, gateways, (translator ?? nullTranslator).load(DOMAIN))
};

const kernelGone: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:ended',
  description: 'Notifies users of a kernel that is gone, and offers to start another.',
  autoStart: true,
  optional: [ITranslator],
  activate: (
    { docRegistry, serviceManager: { events, kernels, sessions } }: JupyterFrontEnd,
    translator: ITranslator | null
  ) => {
    if (backends().length) {
      // Without the kernel and its session in the lists, the next cell starts another kernel.
      const onGone = () =>
        void kernels
          .refreshRunning()
          .then(() => sessions.refreshRunning())
          .catch(() => undefined);
      const trans = (translator ?? nullTranslator).load(DOMAIN);
      docRegistry.addWidgetExtension('Notebook', new KernelGoneExtension(events, onGone, trans));
    }
  }
};

const pendingKernel: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:wanted',
  description:
    "Leaves the start of a new notebook's kernel to its tab; keeps the New menu inside the window.",
  autoStart: true,
  activate: (app: JupyterFrontEnd) => {
    if (backends().length && isTreePage()) {
      keepMenusInside();
      storePendingKernels(app);
    }
  }
};

const missingWidgets: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:widgets',
  description: 'Notifies users of widgets for which the page has no widget manager.',
  autoStart: true,
  optional: [ITranslator],
  activate: ({ docRegistry }: JupyterFrontEnd, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    docRegistry.addWidgetExtension('Notebook', {
      createNew: ({ sessionContext }: Widget & { sessionContext: ISessionContext }) =>
        notifyOfMissingWidgets(sessionContext, trans)
    });
  }
};

const serverUnreachable: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:obstacles',
  description: 'Notifies users of an expired login, and of blocked WebSockets.',
  autoStart: true,
  requires: [IConnectivity],
  optional: [ITranslator],
  activate: (
    { serviceManager: { serverSettings } }: JupyterFrontEnd,
    connectivity: IConnectivity,
    translator: ITranslator | null
  ) =>
    notifyOfConnectivity(connectivity, serverSettings, (translator ?? nullTranslator).load(DOMAIN))
};

export default [
  routes,
  browserGateways,
  connectivity,
  managers,
  kernelManager,
  kernelSpecManager,
  sessionManager,
  token,
  indicator,
  kernelDialog,
  running,
  gatewaysDialog,
  gatewayUnavailable,
  kernelGone,
  serverUnreachable,
  pendingKernel,
  missingWidgets
];
