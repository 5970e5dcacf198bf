/*
 * The client of the kernelspecs REST API: one list of the notebook server's kernelspecs and those of the
 * gateways in browser mode. If there are several backends, none of them delays or empties the list:
 * for a gateway that does not answer, or whose token is missing, the list has its last known
 * kernelspecs.
 */

import { KernelSpec, KernelSpecAPI, ServerConnection } from '@jupyterlab/services';

import { BrowserGateway } from '../browser/gateway';
import { BrowserGateways } from '../browser/registry';
import { displayName } from '../kernelspecNames';
import { serverHasKernels } from '../server/config';

type Kernelspecs = Record<string, KernelSpec.ISpecModel>;

/** While nothing is known: what nearly every gateway has. Starting it asks the user for the token. */
const SIGN_IN: KernelSpec.ISpecModel = {
  name: 'python3',
  display_name: 'Sign in…',
  language: 'python',
  argv: [],
  resources: {}
};

export class RoutingKernelspecClient implements KernelSpec.IKernelSpecAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways
  ) {}

  async get(): Promise<KernelSpec.ISpecModels> {
    const { only } = this._gateways;
    if (only) {
      const specs = await only.kernelspecs(false);
      return { default: specs.default, kernelspecs: reduce(specs) };
    }
    const requests = this._gateways.all().map(gateway => kernelspecsOf(gateway));
    const server = serverHasKernels() ? await this._kernelspecsOfServer() : null;
    const lists = await Promise.all(requests);
    const kernelspecs = Object.assign({}, server?.kernelspecs, ...lists) as Kernelspecs;
    return { default: server?.default ?? Object.keys(kernelspecs)[0], kernelspecs };
  }

  /** Null if no backend of the notebook server is available. */
  private async _kernelspecsOfServer(): Promise<KernelSpec.ISpecModels | null> {
    try {
      return await KernelSpecAPI.getSpecs(this.serverSettings);
    } catch (error) {
      if (error instanceof ServerConnection.NetworkError) {
        throw error; // JupyterLab has a dialog for that
      }
      return null;
    }
  }
}

/** The kernelspecs of one of several backends, under their qualified names. */
async function kernelspecsOf(gateway: BrowserGateway): Promise<Kernelspecs> {
  const { name: backend, label, url } = gateway.backend;
  const storageKey = `notebook-remote:kernelspecs ${url}`;
  let specs: Kernelspecs;
  try {
    specs = reduce(await gateway.kernelspecs(true));
    localStorage.setItem(storageKey, JSON.stringify(specs));
  } catch {
    const item = localStorage.getItem(storageKey);
    specs = item ? (JSON.parse(item) as Kernelspecs) : { [SIGN_IN.name]: SIGN_IN };
  }
  return Object.fromEntries(
    Object.values(specs).map(spec => {
      const qualified = {
        ...spec,
        name: gateway.publicName(spec.name),
        display_name: displayName(spec.display_name, label),
        metadata: { ...spec.metadata, notebook_remote: { backend } }
      };
      return [qualified.name, qualified];
    })
  );
}

/**
 * The fields that the page needs. A logo cannot be loaded, since an image sends no credential to the
 * gateway; other fields may be confidential, and the list is stored.
 */
function reduce({ kernelspecs }: KernelSpec.ISpecModels): Kernelspecs {
  const reduced: Kernelspecs = {};
  for (const [key, spec] of Object.entries(kernelspecs)) {
    if (spec) {
      const { name, display_name, language, metadata } = spec;
      reduced[key] = { name, display_name, language, metadata, argv: [], resources: {} };
    }
  }
  return reduced;
}
