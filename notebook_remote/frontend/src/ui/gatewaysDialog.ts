/* The dialogs in which users see, add, test, change and remove gateways. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { ServiceManager } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ask, IBackendState, IFinding } from '../server/api';
import { noteBackends } from '../server/config';
import { GatewayForm, ISaid, IValues, listOf } from './gatewayForm';
import { BrowserGateways } from '../browser/registry';
import { whatIsWrong } from '../server/errorMessages';

type Action = 'test' | 'edit' | 'token' | 'remove';

const NEW: IValues = { name: '', url: '', auth_token: '', mode: 'proxy' };

export class GatewayDialogs {
  constructor(
    private readonly _services: ServiceManager.IManager,
    private readonly _gateways: BrowserGateways,
    private readonly _trans: TranslationBundle
  ) {}

  /** All backends and how they are; from here one is added, tested, changed or removed. */
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
      if (list.chosen) {
        await this._do(list.chosen.action, list.chosen.backend);
      } else if (button.accept) {
        await this._add();
      } else {
        return;
      }
    }
  }

  private async _do(action: Action, backend: IBackendState): Promise<void> {
    switch (action) {
      case 'remove':
        return this._remove(backend);
      case 'edit':
        return this._edit(backend);
      case 'test':
        return this._testAndShow(backend);
      case 'token':
        await this._gateways
          .get(backend.name)
          ?.credentials.enter()
          .catch(() => undefined); // declined
    }
  }

  private async _add(): Promise<void> {
    await this._fillIn({
      title: this._trans.__('Add a Gateway'),
      values: NEW,
      fixed: [],
      save: this._trans.__('Add'),
      test: values => ['examinations', values],
      onSave: values => this._ask('backends', 'POST', values)
    });
  }

  /** Where it is belongs to the configuration, if that has it. */
  private async _edit({ name, url, mode, added }: IBackendState): Promise<void> {
    const before = { name, url, mode, auth_token: '' };
    const changed = (values: IValues) =>
      Object.fromEntries(
        Object.entries(values).filter(([k, v]) => v !== before[k as keyof IValues])
      );
    await this._fillIn({
      title: this._trans.__('Gateway %1', name),
      values: before,
      fixed: added ? ['name'] : ['name', 'url', 'mode'],
      save: this._trans.__('Save'),
      onSave: values => this._ask(`backends/${name}`, 'PATCH', changed(values))
    });
  }

  /** Show a form until it is saved, or left. */
  private async _fillIn(options: {
    title: string;
    values: IValues;
    fixed: (keyof IValues)[];
    save: string;
    test?: (values: IValues) => [string, object];
    onSave: (values: IValues) => Promise<unknown>;
  }): Promise<void> {
    const { title, fixed, save, test, onSave } = options;
    const trans = this._trans;
    let { values } = options;
    let said: ISaid[] = [];
    for (;;) {
      const tests = Dialog.createButton({
        label: trans.__('Test'),
        accept: true,
        actions: ['test']
      });
      const { button, value } = await showDialog<IValues>({
        title,
        body: new GatewayForm(values, fixed, said, trans),
        buttons: [
          Dialog.cancelButton(),
          ...(test ? [tests] : []),
          Dialog.okButton({ label: save })
        ],
        defaultButton: test ? 2 : 1,
        focusNodeSelector: 'input:enabled'
      });
      if (!button.accept || !value) {
        return;
      }
      values = value;
      try {
        checkAddress(values.url, trans);
        if (test && button.actions.includes('test')) {
          said = (await this._test(values.url, ...test(values))) ?? [];
        } else {
          await onSave(values);
          return await this._changed();
        }
      } catch (error) {
        said = [{ level: 'fail', text: (error as Error).message }];
      }
    }
  }

  private async _testAndShow({ name, url }: IBackendState): Promise<void> {
    const said = await this._test(url || name, `backends/${name}/examinations`).catch(error => [
      { level: 'fail' as const, text: (error as Error).message }
    ]);
    if (said) {
      await showDialog({
        title: this._trans.__('Test of %1', name),
        body: new Findings(said),
        buttons: [Dialog.okButton({ label: this._trans.__('Close') })]
      });
    }
  }

  /** Examine a gateway, which takes some seconds; null if the user does not wait for it. */
  private async _test(where: string, path: string, body: object = {}): Promise<ISaid[] | null> {
    const trans = this._trans;
    const cancelled = new AbortController();
    const wait = new Dialog({
      title: trans.__('Testing %1 …', where),
      body: trans.__('A kernel is started there, tried, and shut down again.'),
      buttons: [Dialog.cancelButton()]
    });
    const closed = wait
      .launch()
      .catch(() => undefined)
      .then(() => cancelled.abort());
    try {
      const findings = await this._ask<IFinding[]>(path, 'POST', body, cancelled.signal);
      return inWords(findings, trans);
    } catch (error) {
      if (cancelled.signal.aborted) {
        return null;
      }
      throw error;
    } finally {
      wait.reject();
      await closed;
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

  private _ask<T>(path: string, method?: string, body?: object, signal?: AbortSignal): Promise<T> {
    return ask<T>(this._services.serverSettings, path, method, body, signal);
  }
}

/** Throws if something else was entered, which the server could only say in its own words. */
function checkAddress(text: string, trans: TranslationBundle): void {
  if (!/^https?:\/\/[^\s/?#]+/i.test(text)) {
    const example = 'https://gpu:8888';
    throw new Error(trans.__('“%1” is not an address: enter one such as %2.', text, example));
  }
}

/** The verdict; then what failed, and what could be better. */
function inWords(findings: IFinding[], trans: TranslationBundle): ISaid[] {
  const of = (level: ISaid['level']) =>
    findings
      .filter(({ verdict }) => verdict === level)
      .map(({ name, text, next_step }) => ({
        level,
        text: `${name}: ${[text, next_step].filter(Boolean).join(' ')}`
      }));
  const failed = of('fail');
  const passed = of('pass').length;
  const verdict: ISaid = failed.length
    ? { level: 'fail', text: trans.__('This gateway does not work as it should.') }
    : {
        level: 'pass',
        text: trans._n(
          'This gateway works: %1 check passed.',
          'This gateway works: %1 checks passed.',
          passed
        )
      };
  return [verdict, ...failed, ...of('warn')];
}

class Findings extends Widget {
  constructor(said: ISaid[]) {
    super();
    this.addClass('nbr-Form');
    this.node.append(listOf(said));
  }
}

class BackendList extends Widget {
  constructor(backends: IBackendState[], trans: TranslationBundle) {
    super();
    this.addClass('nbr-Backends');
    const table = document.createElement('table');
    const titles = [
      trans.__('Name'),
      trans.__('Address'),
      trans.__('Connection'),
      trans.__('State'),
      ''
    ];
    table
      .createTHead()
      .insertRow()
      .append(...titles.map(title => cell('th', title)));
    const body = table.createTBody();
    for (const backend of backends) {
      const row = body.insertRow();
      row.dataset.state = backend.state;
      const { label, url, mode } = backend;
      const texts = [label, url, url && wayOf(mode, trans), stateOf(backend, trans)];
      row.append(...texts.map(text => cell('td', text)));
      row.insertCell().append(...actionsOf(backend, trans).map(a => this._button(backend, ...a)));
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

/** What can be done with a backend: the action, its button's text, and what a screen reader says. */
function actionsOf(
  { name, mode, url, added }: IBackendState,
  trans: TranslationBundle
): [Action, string, string][] {
  const actions: [Action, string, string][] = [];
  if (mode === 'browser') {
    actions.push(['token', trans.__('Sign In…'), trans.__('Enter the token of %1', name)]);
  } else if (mode !== 'local' && url) {
    actions.push(
      ['test', trans.__('Test'), trans.__('Test %1', name)],
      ['edit', trans.__('Edit…'), trans.__('Edit %1', name)]
    );
  }
  if (added) {
    actions.push(['remove', trans.__('Remove'), trans.__('Remove %1', name)]);
  }
  return actions;
}

function wayOf(mode: string, trans: TranslationBundle): string {
  switch (mode) {
    case 'proxy':
      return trans.__('through this server');
    case 'direct':
      return trans.__('direct');
    case 'browser':
      return trans.__('from pages only');
    default:
      return '';
  }
}

function stateOf({ state, error, kernels }: IBackendState, trans: TranslationBundle): string {
  if (error) {
    return whatIsWrong(error); // what to do is beside it
  }
  const running = kernels ? trans._n('%1 kernel', '%1 kernels', kernels) : '';
  return [state === 'up' ? trans.__('ready') : '', running].filter(Boolean).join(', ');
}

function cell(kind: 'th' | 'td', text: string): HTMLElement {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}
