/* The table of backends in the dialog of gateways: their state, and buttons for what can be done. */

import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { IBackendModel } from '../server/api';
import { withoutAdvice } from '../server/errorMessages';

export type Action = 'test' | 'edit' | 'token' | 'remove';

export class GatewayTable extends Widget {
  constructor(backends: IBackendModel[], trans: TranslationBundle) {
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
      const texts = [label, url, url && modeText(mode, trans), stateText(backend, trans)];
      row.append(...texts.map(text => cell('td', text)));
      row.insertCell().append(...actionsOf(backend, trans).map(a => this._button(backend, ...a)));
    }
    this.node.append(table);
  }

  /** The action that the user has chosen; `onChosen` is called then. */
  chosen: { backend: IBackendModel; action: Action } | null = null;
  onChosen: () => void = () => undefined;

  private _button(
    backend: IBackendModel,
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

/** The actions of a backend, each with the text of its button, and the text for screen readers. */
function actionsOf(
  { name, mode, url, added }: IBackendModel,
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

function modeText(mode: string, trans: TranslationBundle): string {
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

function stateText({ state, error, kernels }: IBackendModel, trans: TranslationBundle): string {
  if (error) {
    return withoutAdvice(error); // the row has buttons for what can be done
  }
  const running = kernels ? trans._n('%1 kernel', '%1 kernels', kernels) : '';
  return [state === 'up' ? trans.__('ready') : '', running].filter(Boolean).join(', ');
}

function cell(kind: 'th' | 'td', text: string): HTMLElement {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}
