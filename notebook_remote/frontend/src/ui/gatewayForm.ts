/* The form to add or change a gateway, with messages about the values. */

import { Dialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

export interface IFormValues {
  name: string;
  url: string;
  auth_token: string;
  mode: string;
}

export interface IFormMessage {
  level: 'pass' | 'warn' | 'fail';
  text: string;
}

/** A list of messages, each in the colour of its level. */
export function messageList(messages: IFormMessage[]): HTMLElement {
  const list = document.createElement('ul');
  list.setAttribute('role', 'alert');
  for (const { level, text } of messages) {
    const item = document.createElement('li');
    item.dataset.level = level;
    item.textContent = text;
    list.append(item);
  }
  return list;
}

export class GatewayForm extends Widget implements Dialog.IBodyWidget<IFormValues> {
  /** The fields in `_readonly` cannot be changed. */
  constructor(
    values: IFormValues,
    private readonly _readonly: (keyof IFormValues)[],
    messages: IFormMessage[],
    trans: TranslationBundle
  ) {
    super();
    this.addClass('nbr-Form');
    const modes = document.createElement('select');
    modes.append(
      new Option(trans.__('through the notebook server'), 'proxy'),
      new Option(trans.__('direct, from pages'), 'direct')
    );
    const input = () => document.createElement('input');
    const token = Object.assign(input(), { type: 'password', autocomplete: 'off' });
    const unchanged = _readonly.length ? trans.__('unchanged') : '';
    this._add('name', trans.__('Name'), input(), values.name, 'gpu');
    this._add('url', trans.__('Address'), input(), values.url, 'https://gpu:8888');
    this._add('auth_token', trans.__('Token'), token, values.auth_token, unchanged);
    this._add('mode', trans.__('Connection'), modes, values.mode, '');
    if (messages.length) {
      this.node.append(messageList(messages));
    }
  }

  getValue(): IFormValues {
    const entries = [...this._fields].map(([key, field]) => [key, field.value.trim()]);
    return Object.fromEntries(entries) as IFormValues;
  }

  private _add(
    key: keyof IFormValues,
    label: string,
    field: HTMLInputElement | HTMLSelectElement,
    value: string,
    example: string
  ): void {
    const row = document.createElement('label');
    field.value = value;
    field.name = key;
    field.className = 'jp-mod-styled';
    field.disabled = this._readonly.includes(key);
    if (field instanceof HTMLInputElement) {
      field.placeholder = example;
    }
    row.append(Object.assign(document.createElement('span'), { textContent: label }), field);
    this.node.append(row);
    this._fields.set(key, field);
  }

  private readonly _fields = new Map<keyof IFormValues, HTMLInputElement | HTMLSelectElement>();
}
