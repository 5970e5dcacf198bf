/*
 * The kernels of the New menu while the gateway of this computer starts, which may take longer than
 * the page. What it has in any case is offered at once: a tab that is opened for it shows the start.
 */

import { KernelSpec, KernelSpecAPI, ServerConnection } from '@jupyterlab/services';

const LATE_AFTER = 1000; // milliseconds

const EARLY: KernelSpec.ISpecModels = {
  default: 'python3',
  kernelspecs: {
    python3: {
      name: 'python3',
      display_name: 'Python 3 (starting…)',
      language: 'python',
      argv: [],
      resources: {}
    }
  }
};

export class EarlySpecs implements KernelSpec.IKernelSpecAPIClient {
  /** `onKnown` is called when there is a list, or an error, after one was made up. */
  constructor(
    readonly serverSettings: ServerConnection.ISettings,
    private readonly _onKnown: () => void
  ) {}

  async get(): Promise<KernelSpec.ISpecModels> {
    const asked = KernelSpecAPI.getSpecs(this.serverSettings);
    if (this._late) {
      return asked;
    }
    const late = new Promise<null>(resolve => window.setTimeout(resolve, LATE_AFTER, null));
    const specs = await Promise.race([asked, late]);
    this._late = true; // from here on there is something to show meanwhile
    if (specs === null) {
      void asked.catch(() => undefined).then(this._onKnown);
    }
    return specs ?? EARLY;
  }

  private _late = false;
}
