/* The dialogs in which users see, add, test and remove gateways. */

import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import { ServiceManager } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ask, IBackendState, IFinding } from './api';
import { noteBackends } from './config';
import { BrowserGateways } from './gateways';

interface IValues {
  name: string;
  url: string;
  auth_token: string;
  mode: string;
}

type Action = 'token' | 'remove';

const NEW: IValues = { name: '', url: '', auth_token: '', mode: 'proxy' };

export class GatewayDialogs {
  constructor(
    private readonly _services: ServiceManager.IManager,
    private readonly _gateways: BrowserGateways,
    private readonly _trans: TranslationBundle
  ) {}

  /** All backends and how they are; from here one is added or removed. */
  async show(): Promise<void> {
    const trans = this._trans;
    for (;;) {
      const backends = await this._ask<IBackendState[]>('backends');
      const list = new BackendList(backends, trans);
      const dialog = new Dialog({
        title: trans.__('Gateways'),
        body: list,
        buttons: [
          Dialog.cancelButton({ label: trans.__('Close') }),
          Dialog.okButton({ label: trans.__('Add Gateway…') })
        ],
        defaultButton: 0
      });
      list.onChosen = () => dialog.reject();
      const { button } = await dialog.launch();
      if (list.chosen?.action === 'remove') {
        await this._remove(list.chosen.backend);
      } else if (list.chosen?.action === 'token') {
        await this._enterToken(list.chosen.backend);
      } else if (button.accept) {
        await this._add();
      } else {
        return;
      }
    }
  }

  private async _add(): Promise<void> {
    const trans = this._trans;
    let values = NEW;
    let said: string[] = [];
    for (;;) {
      const { button, value } = await showDialog<IValues>({
        title: trans.__('Add a Gateway'),
        body: new GatewayForm(values, said, trans),
        buttons: [
          Dialog.cancelButton(),
          Dialog.createButton({ label: trans.__('Test'), accept: true, actions: ['test'] }),
          Dialog.okButton({ label: trans.__('Add') })
        ],
        defaultButton: 2,
        focusNodeSelector: 'input'
      });
      if (!button.accept || !value) {
        return;
      }
      values = value;
      try {
        if (!button.actions.includes('test')) {
          await this._ask('backends', 'POST', values);
          return await this._changed();
        }
        said = inWords(await this._test(values), trans);
      } catch (error) {
        said = [(error as Error).message];
      }
    }
  }

  /** Examine a gateway, which takes some seconds. */
  private async _test(values: IValues): Promise<IFinding[]> {
    const trans = this._trans;
    const wait = new Dialog({
      title: trans.__('Testing %1 …', values.url),
      body: trans.__('A kernel is started there, tried, and shut down again.'),
      buttons: []
    });
    const closed = wait.launch().catch(() => undefined);
    try {
      return await this._ask<IFinding[]>('examinations', 'POST', values);
    } finally {
      wait.reject();
      await closed;
    }
  }

  /** Tokens are in memory only where there is no keyring, so they may have to be entered again. */
  private async _enterToken({ name, url }: IBackendState): Promise<void> {
    const trans = this._trans;
    const gateway = this._gateways.get(name);
    if (gateway) {
      await gateway.credentials.enter().catch(() => undefined); // declined
      return;
    }
    const { value, button } = await InputDialog.getPassword({
      title: trans.__('Token for %1', name),
      label: trans.__('The notebook server sends it to %1, and keeps it for itself.', url),
      okLabel: trans.__('Use the Token')
    });
    if (button.accept && value?.trim()) {
      await this._ask(`backends/${name}`, 'PATCH', { auth_token: value.trim() });
      await this._changed();
    }
  }

  private async _remove({ name, kernels }: IBackendState): Promise<void> {
    const trans = this._trans;
    if (kernels) {
      const { button } = await showDialog({
        title: trans.__('Remove %1?', name),
        body: trans._n(
          'A kernel of yours runs there. It goes on running, and is yours again if you add the gateway again.',
          '%1 kernels of yours run there. They go on running, and are yours again if you add the gateway again.',
          kernels
        ),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Remove') })]
      });
      if (!button.accept) {
        return;
      }
    }
    await this._ask(`backends/${name}?leave_kernels=1`, 'DELETE');
    await this._changed();
  }

  /** The page learns which backends and kernelspecs there are now. */
  private async _changed(): Promise<void> {
    noteBackends(await this._ask<IBackendState[]>('backends'));
    await this._services.kernelspecs.refreshSpecs();
    await this._services.sessions.refreshRunning();
  }

  private _ask<T>(path: string, method?: string, body?: object): Promise<T> {
    return ask<T>(this._services.serverSettings, path, method, body);
  }
}

/** What failed, what could be better, and how many checks passed. */
function inWords(findings: IFinding[], trans: TranslationBundle): string[] {
  const line = (mark: string) => ({ name, text, next_step }: IFinding) =>
    `${mark} ${name}: ${[text, next_step].filter(Boolean).join(' ')}`;
  const of = (verdict: string) => findings.filter(finding => finding.verdict === verdict);
  const passed = of('pass').length;
  return [
    ...of('fail').map(line('✗')),
    ...of('warn').map(line('!')),
    trans._n('✓ %1 check passed', '✓ %1 checks passed', passed)
  ];
}

class BackendList extends Widget {
  constructor(backends: IBackendState[], trans: TranslationBundle) {
    super();
    this.addClass('nbr-Backends');
    const table = document.createElement('table');
    const titles = [trans.__('Name'), trans.__('Mode'), trans.__('Address'), trans.__('State'), ''];
    table.createTHead().insertRow().append(...titles.map(title => cell('th', title)));
    const body = table.createTBody();
    for (const backend of backends) {
      const { name, mode, url, state, error, kernels } = backend;
      const known = state === 'up' ? trans.__('works') : trans.__('only pages contact it');
      const well = [known, trans._n('%1 kernel', '%1 kernels', kernels)].join(', ');
      const row = body.insertRow();
      row.dataset.state = state;
      row.append(...[name, mode, url, error ?? well].map(t => cell('td', t)));
      const last = row.insertCell();
      if (backend.added) {
        const [token, remove] = [trans.__('Token…'), trans.__('Remove')];
        last.append(
          this._button(backend, 'token', token, trans.__('Enter the token of %1', name)),
          this._button(backend, 'remove', remove, trans.__('Remove %1', name))
        );
      }
    }
    this.node.append(table);
  }

  /** What the user wants to do with one of them; the dialog is closed then. */
  chosen: { backend: IBackendState; action: Action } | null = null;
  onChosen: () => void = () => undefined;

  private _button(
    backend: IBackendState,
    action: Action,
    text: string,
    label: string
  ): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'jp-mod-styled';
    button.textContent = text;
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => {
      this.chosen = { backend, action };
      this.onChosen();
    });
    return button;
  }
}

function cell(kind: 'th' | 'td', text: string): HTMLElement {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}

class GatewayForm extends Widget implements Dialog.IBodyWidget<IValues> {
  constructor(values: IValues, said: string[], trans: TranslationBundle) {
    super();
    this.addClass('nbr-Form');
    const modes = document.createElement('select');
    modes.append(
      new Option(trans.__('proxy: through the notebook server'), 'proxy'),
      new Option(trans.__('direct: pages connect by themselves'), 'direct')
    );
    this._add('name', trans.__('Name'), document.createElement('input'), values.name, 'gpu');
    this._add('url', trans.__('URL'), document.createElement('input'), values.url, 'https://gpu:8888');
    const token = document.createElement('input');
    token.type = 'password';
    token.autocomplete = 'off';
    this._add('auth_token', trans.__('Token'), token, values.auth_token, '');
    this._add('mode', trans.__('Mode'), modes, values.mode, '');
    if (said.length) {
      const list = document.createElement('ul');
      list.setAttribute('role', 'alert');
      list.append(
        ...said.map(text => Object.assign(document.createElement('li'), { textContent: text }))
      );
      this.node.append(list);
    }
  }

  getValue(): IValues {
    const entries = [...this._fields].map(([key, field]) => [key, field.value.trim()]);
    return Object.fromEntries(entries) as IValues;
  }

  private _add(
    key: keyof IValues,
    label: string,
    field: HTMLInputElement | HTMLSelectElement,
    value: string,
    example: string
  ): void {
    const row = document.createElement('label');
    field.value = value;
    field.name = key;
    field.className = 'jp-mod-styled';
    if (field instanceof HTMLInputElement) {
      field.placeholder = example;
    }
    row.append(Object.assign(document.createElement('span'), { textContent: label }), field);
    this.node.append(row);
    this._fields.set(key, field);
  }

  private readonly _fields = new Map<keyof IValues, HTMLInputElement | HTMLSelectElement>();
}
