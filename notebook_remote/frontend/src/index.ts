/* The plugins. Each works without the others; without all of them the page works as the stock one. */

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
import { backends } from './server/config';
import { KernelDialogs } from './ui/kernelDialog';
import { EndsOfKernels } from './notifications/kernelGone';
import { BrowserGateways, IBrowserGateways } from './browser/registry';
import { Indicator } from './toolbar/indicator';
import { Links } from './server/links';
import { GatewayDialogs } from './ui/gatewaysDialog';
import { IManagers, Managers } from './services/managers';
import { keepMenusInside } from './ui/menuPosition';
import { notifyOfObstacles } from './notifications/serverUnreachable';
import { watchForProblems } from './notifications/gatewayUnavailable';
import { askForToken } from './browser/tokenDialog';
import { IReach, Reach } from './server/connectivity';
import { IRoutes, Routes } from './channels/routes';
import { GatewaysRunning } from './ui/running';
import { noteWanted, opensTabs } from './services/pendingKernel';
import { watchForWidgets } from './notifications/missingWidgets';

const DOMAIN = 'notebook_remote';

const routes: ServiceManagerPlugin<IRoutes> = {
  id: 'notebook-remote:routes',
  description: 'Knows which way the channels of each kernel go.',
  provides: IRoutes,
  activate: () => new Routes()
};

const browserGateways: ServiceManagerPlugin<BrowserGateways> = {
  id: 'notebook-remote:browser-gateways',
  description: 'The gateways that the page deals with by itself, in browser mode.',
  provides: IBrowserGateways,
  optional: [IServerSettings],
  activate: (_: null, settings: ServerConnection.ISettings | null) =>
    new BrowserGateways(settings ?? ServerConnection.makeSettings())
};

const reach: ServiceManagerPlugin<Reach> = {
  id: 'notebook-remote:reach',
  description: 'Knows whether this page gets through to the notebook server.',
  provides: IReach,
  optional: [IServerSettings],
  activate: (_: null, settings: ServerConnection.ISettings | null) =>
    new Reach(settings ?? ServerConnection.makeSettings())
};

const managers: ServiceManagerPlugin<Managers> = {
  id: 'notebook-remote:managers',
  description: 'Makes the stock managers, whose requests may go to a gateway.',
  provides: IManagers,
  requires: [IRoutes, IBrowserGateways, IReach],
  optional: [IConnectionStatus],
  activate: (
    _: null,
    routes: Routes,
    gateways: BrowserGateways,
    reach: Reach,
    connectionStatus: IConnectionStatus | null
  ) => new Managers(routes, gateways, reach, connectionStatus)
};

const kernelManager: ServiceManagerPlugin<Kernel.IManager> = {
  id: 'notebook-remote:kernel-manager',
  description: 'The stock kernel manager, whose channels may go to a gateway.',
  autoStart: true,
  provides: IKernelManager,
  requires: [IManagers],
  activate: (_: null, managers: Managers) => managers.kernels()
};

const kernelSpecManager: ServiceManagerPlugin<KernelSpec.IManager> = {
  id: 'notebook-remote:kernel-spec-manager',
  description: 'The stock kernelspec manager, which knows gateways in browser mode too.',
  autoStart: true,
  provides: IKernelSpecManager,
  requires: [IManagers],
  activate: (_: null, managers: Managers) => managers.kernelspecs()
};

const sessionManager: ServiceManagerPlugin<Session.IManager> = {
  id: 'notebook-remote:session-manager',
  description: 'The stock session manager, with kernels of gateways in browser mode too.',
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
    gateways.askBy((backend, problem) => askForToken(backend, problem, trans));
    gateways.signedIn.connect(() => {
      void kernelspecs.refreshSpecs();
      void sessions.refreshRunning();
    });
  }
};

const indicator: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:indicator',
  description: "Shows in the notebook's toolbar how its kernel is connected.",
  autoStart: true,
  requires: [IRoutes, IBrowserGateways, IReach],
  optional: [IToolbarWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    routes: IRoutes,
    browserGateways: BrowserGateways,
    reach: IReach,
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
          reach,
          links,
          trans
        })
    );
  }
};

const dialogs: JupyterFrontEndPlugin<ISessionContextDialogs> = {
  id: 'notebook-remote:dialogs',
  description: 'The stock kernel dialog, which names the backends as well.',
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
  description: 'Shows the gateways and their kernels among what is running.',
  autoStart: true,
  optional: [IRunningSessionManagers, ITranslator],
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    managers: IRunningSessionManagers | null, // not in the page of a notebook
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
      managers.add(new GatewaysRunning({ kernels, sessions, kernelspecs, settings, trans, adopt }));
    }
  }
};

const manage: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:gateways',
  description: 'Lets users see, add, test and remove gateways.',
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
        new GatewayDialogs(serviceManager, gateways, trans)
          .show()
          .catch(error => showErrorMessage(trans.__('Gateways'), error as Error))
    });
  }
};

const problems: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:problems',
  description: 'Says why the gateway cannot be used.',
  autoStart: true,
  requires: [IBrowserGateways],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, gateways: BrowserGateways, translator: ITranslator | null) =>
    watchForProblems(app, gateways, (translator ?? nullTranslator).load(DOMAIN))
};

const ended: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:ended',
  description: 'Says what became of the cells of a kernel that is gone, and offers another.',
  autoStart: true,
  optional: [ITranslator],
  activate: (
    { docRegistry, serviceManager: { events, kernels, sessions } }: JupyterFrontEnd,
    translator: ITranslator | null
  ) => {
    if (backends().length) {
      // The lists say that kernel and session are gone, so that the next cell gets another kernel.
      const onGone = () =>
        void kernels
          .refreshRunning()
          .then(() => sessions.refreshRunning())
          .catch(() => undefined);
      const trans = (translator ?? nullTranslator).load(DOMAIN);
      docRegistry.addWidgetExtension('Notebook', new EndsOfKernels(events, onGone, trans));
    }
  }
};

const wanted: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:wanted',
  description: 'Shows where new notebooks will run, and leaves their start to their tabs.',
  autoStart: true,
  activate: (app: JupyterFrontEnd) => {
    if (backends().length && opensTabs()) {
      keepMenusInside();
      noteWanted(app);
    }
  }
};

const widgets: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:widgets',
  description: 'Says what is missing when nobody takes the widgets of a kernel.',
  autoStart: true,
  optional: [ITranslator],
  activate: ({ docRegistry }: JupyterFrontEnd, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    docRegistry.addWidgetExtension('Notebook', {
      createNew: ({ sessionContext }: Widget & { sessionContext: ISessionContext }) =>
        watchForWidgets(sessionContext, trans)
    });
  }
};

const obstacles: JupyterFrontEndPlugin<void> = {
  id: 'notebook-remote:obstacles',
  description: 'Says why this page does not get through to the notebook server.',
  autoStart: true,
  requires: [IReach],
  optional: [ITranslator],
  activate: (
    { serviceManager: { serverSettings } }: JupyterFrontEnd,
    reach: IReach,
    translator: ITranslator | null
  ) => notifyOfObstacles(reach, serverSettings, (translator ?? nullTranslator).load(DOMAIN))
};

export default [
  routes,
  browserGateways,
  reach,
  managers,
  kernelManager,
  kernelSpecManager,
  sessionManager,
  token,
  indicator,
  dialogs,
  running,
  manage,
  problems,
  ended,
  obstacles,
  wanted,
  widgets
];
