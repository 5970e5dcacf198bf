/* The dialogs to list, add, test, change and remove gateways. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { ServiceManager } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { BrowserGateways } from '../browser/registry';
import { IBackendModel, IFinding, requestApi } from '../server/api';
import { updateBackends } from '../server/config';
import { GatewayForm, IFormMessage, IFormValues, messageList } from './gatewayForm';
import { Action, GatewayTable } from './gatewayTable';

const NEW_GATEWAY: IFormValues = { name: '', url: '', auth_token: '', mode: 'proxy' };

export class GatewaysDialog {
  constructor(
    private readonly _services: ServiceManager.IManager,
    private readonly _gateways: BrowserGateways,
    private readonly _trans: TranslationBundle
  ) {}

  /** Show the list of backends, and the dialog of each action, until the user closes the list. */
  async show(): Promise<void> {
    const trans = this._trans;
    for (;;) {
      const backends = await this._request<IBackendModel[]>('backends');
      const table = new GatewayTable(backends, trans);
      const dialog = new Dialog({
        title: trans.__('Gateways'),
        body: table,
        buttons: [
          Dialog.cancelButton({ label: trans.__('Close') }),
          Dialog.okButton({ label: trans.__('Add Gateway…') })
        ],
        defaultButton: 0
      });
      table.onChosen = () => dialog.reject();
      const { button } = await dialog.launch();
      if (table.chosen) {
        await this._run(table.chosen.action, table.chosen.backend);
      } else if (button.accept) {
        await this._add();
      } else {
        return;
      }
    }
  }

  private async _run(action: Action, backend: IBackendModel): Promise<void> {
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
          ?.credentials.renew()
          .catch(() => undefined); // declined
    }
  }

  private async _add(): Promise<void> {
    await this._showForm({
      title: this._trans.__('Add a Gateway'),
      values: NEW_GATEWAY,
      readonly: [],
      save: this._trans.__('Add'),
      test: values => ['examinations', values],
      onSave: values => this._request('backends', 'POST', values)
    });
  }

  /** Only the token can be changed here if the gateway comes from the configuration. */
  private async _edit({ name, url, mode, added }: IBackendModel): Promise<void> {
    const before = { name, url, mode, auth_token: '' };
    const changed = (values: IFormValues) =>
      Object.fromEntries(
        Object.entries(values).filter(([k, v]) => v !== before[k as keyof IFormValues])
      );
    await this._showForm({
      title: this._trans.__('Gateway %1', name),
      values: before,
      readonly: added ? ['name'] : ['name', 'url', 'mode'],
      save: this._trans.__('Save'),
      onSave: values => this._request(`backends/${name}`, 'PATCH', changed(values))
    });
  }

  /** Show the form until the values are saved, or the user cancels. */
  private async _showForm(options: {
    title: string;
    values: IFormValues;
    readonly: (keyof IFormValues)[];
    save: string;
    test?: (values: IFormValues) => [string, object];
    onSave: (values: IFormValues) => Promise<unknown>;
  }): Promise<void> {
    const { title, readonly, save, test, onSave } = options;
    const trans = this._trans;
    let { values } = options;
    let messages: IFormMessage[] = [];
    for (;;) {
      const testButton = Dialog.createButton({
        label: trans.__('Test'),
        accept: true,
        actions: ['test']
      });
      const { button, value } = await showDialog<IFormValues>({
        title,
        body: new GatewayForm(values, readonly, messages, trans),
        buttons: [
          Dialog.cancelButton(),
          ...(test ? [testButton] : []),
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
        validateAddress(values.url, trans);
        if (test && button.actions.includes('test')) {
          messages = (await this._test(values.url, ...test(values))) ?? [];
        } else {
          await onSave(values);
          return await this._refresh();
        }
      } catch (error) {
        messages = [{ level: 'fail', text: (error as Error).message }];
      }
    }
  }

  private async _testAndShow({ name, url }: IBackendModel): Promise<void> {
    const messages = await this._test(url || name, `backends/${name}/examinations`).catch(error => [
      { level: 'fail' as const, text: (error as Error).message }
    ]);
    if (messages) {
      await showDialog({
        title: this._trans.__('Test of %1', name),
        body: new TestResult(messages),
        buttons: [Dialog.okButton({ label: this._trans.__('Close') })]
      });
    }
  }

  /** Test a gateway, which takes some seconds; null if the user cancels. */
  private async _test(
    where: string,
    path: string,
    body: object = {}
  ): Promise<IFormMessage[] | null> {
    const trans = this._trans;
    const cancelled = new AbortController();
    const progress = new Dialog({
      title: trans.__('Testing %1 …', where),
      body: trans.__('A kernel is started there, tried, and shut down again.'),
      buttons: [Dialog.cancelButton()]
    });
    const closed = progress
      .launch()
      .catch(() => undefined)
      .then(() => cancelled.abort());
    try {
      const findings = await this._request<IFinding[]>(path, 'POST', body, cancelled.signal);
      return messagesOf(findings, trans);
    } catch (error) {
      if (cancelled.signal.aborted) {
        return null;
      }
      throw error;
    } finally {
      progress.reject();
      await closed;
    }
  }

  private async _remove({ name, kernels }: IBackendModel): Promise<void> {
    const trans = this._trans;
    if (kernels) {
      const { button } = await showDialog({
        title: trans.__('Remove %1?', name),
        body: trans._n(
          'One of your kernels runs there. It keeps running, and you have it back when you add the gateway again.',
          '%1 of your kernels run there. They keep running, and you have them back when you add the gateway again.',
          kernels
        ),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Remove') })]
      });
      if (!button.accept) {
        return;
      }
    }
    await this._request(`backends/${name}?leave_kernels=1`, 'DELETE');
    await this._refresh();
  }

  /** Make the page use the new list of backends and their kernelspecs. */
  private async _refresh(): Promise<void> {
    updateBackends(await this._request<IBackendModel[]>('backends'));
    await this._services.kernelspecs.refreshSpecs();
    await this._services.sessions.refreshRunning();
  }

  private _request<T>(
    path: string,
    method?: string,
    body?: object,
    signal?: AbortSignal
  ): Promise<T> {
    return requestApi<T>(this._services.serverSettings, path, method, body, signal);
  }
}

/** Throws if the text is not an address: the server's message would be about its configuration. */
function validateAddress(text: string, trans: TranslationBundle): void {
  if (!/^https?:\/\/[^\s/?#]+/i.test(text)) {
    const example = 'https://gpu:8888';
    throw new Error(trans.__('“%1” is not an address: enter one such as %2.', text, example));
  }
}

/** The result of a test: the overall verdict, then the checks that failed, then the warnings. */
function messagesOf(findings: IFinding[], trans: TranslationBundle): IFormMessage[] {
  const of = (level: IFormMessage['level']) =>
    findings
      .filter(({ verdict }) => verdict === level)
      .map(({ name, text, next_step }) => ({
        level,
        text: `${name}: ${[text, next_step].filter(Boolean).join(' ')}`
      }));
  const failed = of('fail');
  const passed = of('pass').length;
  const verdict: IFormMessage = failed.length
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

class TestResult extends Widget {
  constructor(messages: IFormMessage[]) {
    super();
    this.addClass('nbr-Form');
    this.node.append(messageList(messages));
  }
}
