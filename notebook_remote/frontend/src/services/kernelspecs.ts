/*
 * One list of kernelspecs: that of the notebook server, and those of the gateways that only the page
 * can ask. If there are several backends, none of them holds up or empties the list of the others:
 * of one that does not answer, or whose token is not there, the list shows what it said last.
 */

import { KernelSpec, KernelSpecAPI, ServerConnection } from '@jupyterlab/services';

import { servedHere } from '../server/config';
import { BrowserGateway } from '../browser/gateway';
import { BrowserGateways } from '../browser/registry';

type Specs = Record<string, KernelSpec.ISpecModel>;

export class RoutedSpecs implements KernelSpec.IKernelSpecAPIClient {
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _gateways: BrowserGateways
  ) {}

  async get(): Promise<KernelSpec.ISpecModels> {
    const { alone } = this._gateways;
    if (alone) {
      const specs = await alone.specs(false);
      return { default: specs.default, kernelspecs: withoutLogos(specs) };
    }
    const asked = this._gateways.all().map(gateway => ofOne(gateway));
    const here = servedHere() ? await this._ofServer() : null;
    const lists = await Promise.all(asked);
    const kernelspecs: Specs = Object.assign({}, here?.kernelspecs, ...lists);
    return { default: here?.default ?? Object.keys(kernelspecs)[0], kernelspecs };
  }

  /** Null if none of the backends behind the notebook server can tell its own. */
  private async _ofServer(): Promise<KernelSpec.ISpecModels | null> {
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

/** The kernelspecs of one of several backends, under the names that the page knows. */
async function ofOne(gateway: BrowserGateway): Promise<Specs> {
  const { name, url } = gateway.backend;
  const key = `notebook-remote:kernelspecs ${url}`;
  let specs: Specs;
  try {
    specs = withoutLogos(await gateway.specs(true));
    localStorage.setItem(key, JSON.stringify(specs));
  } catch {
    specs = JSON.parse(localStorage.getItem(key) ?? 'null') ?? { [SIGN_IN.name]: SIGN_IN };
  }
  return Object.fromEntries(
    Object.values(specs).map(spec => {
      const told = {
        ...spec,
        name: gateway.publicName(spec.name),
        display_name: `${spec.display_name} · ${name}`,
        metadata: { ...spec.metadata, notebook_remote: { backend: name } }
      };
      return [told.name, told];
    })
  );
}

/** While nothing is known: what nearly every gateway has. Its start asks for the token. */
const SIGN_IN: KernelSpec.ISpecModel = {
  name: 'python3',
  display_name: 'Sign in…',
  language: 'python',
  argv: [],
  resources: {}
};

/**
 * What the page needs. A logo's address is one of the gateway's, where an image cannot say who asks
 * for it; what else is in a kernelspec may be nobody's business once it is stored.
 */
function withoutLogos({ kernelspecs }: KernelSpec.ISpecModels): Specs {
  const bare = Object.entries(kernelspecs).flatMap(([key, spec]) => {
    if (!spec) {
      return [];
    }
    const { name, display_name, language, metadata } = spec;
    return [[key, { name, display_name, language, metadata, argv: [], resources: {} }]];
  });
  return Object.fromEntries(bare);
}
