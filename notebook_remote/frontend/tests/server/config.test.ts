import { PageConfig } from '@jupyterlab/coreutils';
import { KernelSpec } from '@jupyterlab/services';
import { beforeEach, describe, expect, it } from 'vitest';

import {
  backendLabel,
  backendOfKernelspec,
  backends,
  backendsChanged,
  browserBackends,
  gateways,
  hasEmbeddedGateway,
  IBackend,
  serverHasKernels,
  updateBackends
} from '../../src/server/config';

const LOCAL: IBackend = { name: 'local', label: 'This computer', mode: 'local' };
const GPU: IBackend = { name: 'gpu', label: 'gpu', mode: 'proxy' };
const DESK = {
  name: 'desk',
  label: 'desk',
  mode: 'browser' as const,
  url: 'https://DESK:443/a/../b/',
  ws_url: 'wss://desk:8888/',
  scope: 's',
  insecure_token: false,
  env: {}
};

function configure(...backends: IBackend[]): void {
  PageConfig.setOption('notebookRemote', JSON.stringify({ backends }));
}

beforeEach(() => configure(LOCAL, GPU, DESK));

describe('the list of backends', () => {
  it("is that of the page's configuration", () => {
    expect(backends()).toEqual([LOCAL, GPU, DESK]);
    expect(gateways().map(({ name }) => name)).toEqual(['gpu', 'desk']);
  });

  it('is empty with a server that has no such option', () => {
    PageConfig.setOption('notebookRemote', '');
    expect(backends()).toEqual([]);
  });

  it('has labels for users', () => {
    expect(backendLabel('local')).toBe('This computer');
    expect(backendLabel('removed')).toBe('removed');
  });

  it('says whether the server has kernels', () => {
    expect(serverHasKernels()).toBe(true);
    configure(DESK);
    expect(serverHasKernels()).toBe(false);
  });

  it('says whether there is an embedded gateway', () => {
    expect(hasEmbeddedGateway()).toBe(false);
    configure({ ...LOCAL, name: 'embedded' });
    expect(hasEmbeddedGateway()).toBe(true);
  });
});

it('browserBackends has URLs as browsers send them', () => {
  const [{ url, ws_url }, ...others] = browserBackends();
  expect([url, ws_url]).toEqual(['https://desk/b', 'wss://desk:8888']);
  expect(others).toEqual([]);
});

describe('backendOfKernelspec', () => {
  function specs(metadata?: object): KernelSpec.ISpecModels {
    const spec = { name: 'ir', display_name: 'R', language: 'R', argv: [], resources: {} };
    return { default: 'ir', kernelspecs: { ir: { ...spec, ...metadata } } };
  }

  it('is the only backend, whatever the list says', () => {
    configure(GPU);
    expect(backendOfKernelspec('ir', null)).toEqual(GPU);
  });

  it("is the one that the kernelspec's metadata names", () => {
    const listed = specs({ metadata: { notebook_remote: { backend: 'gpu' } } });
    expect(backendOfKernelspec('ir', listed)).toEqual(GPU);
  });

  it('is undefined if it is not known', () => {
    expect(backendOfKernelspec('ir', specs())).toBeUndefined();
    expect(backendOfKernelspec('julia', specs())).toBeUndefined();
    expect(backendOfKernelspec('ir', null)).toBeUndefined();
  });
});

describe('updateBackends', () => {
  it('adds and removes backends, and emits the signal after that', () => {
    const seen: string[][] = [];
    const record = () => void seen.push(backends().map(({ name }) => name));
    backendsChanged.connect(record);
    updateBackends([GPU, { name: 'new', label: 'new', mode: 'direct' }]);
    backendsChanged.disconnect(record);
    expect(seen).toEqual([['gpu', 'new']]);
  });

  it('keeps what the page needs in browser mode, which the REST API does not return', () => {
    updateBackends([{ name: 'desk', label: 'desk', mode: 'browser' }]);
    expect(backends()).toEqual([DESK]);
  });

  it('stores no more of a new backend than its name, label and mode', () => {
    const model = { ...GPU, name: 'new', state: 'up', error: null };
    updateBackends([model]);
    expect(backends()).toEqual([{ name: 'new', label: 'gpu', mode: 'proxy' }]);
  });
});
