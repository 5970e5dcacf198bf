/*
 * Notebook's list of files starts the kernel of a new notebook itself, while it opens a tab for it. That
 * is left to the tab. There the user sees the start, or is asked for a token; the tab opens at once,
 * since browsers allow that only for seconds after a click; and the list of files stays attached to no
 * kernel: it would close every comm of a widget, since it has nobody who takes them.
 */

import { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig, PathExt } from '@jupyterlab/coreutils';
import { Session } from '@jupyterlab/services';

const KEY = 'notebook-remote:wanted'; // of sessionStorage, of which a new tab gets a copy

/** Whether this page opens notebooks in tabs of their own. */
export function opensTabs(): boolean {
  return PageConfig.getOption('notebookPage') === 'tree';
}

/** Note the kernels that are chosen for new notebooks in this page. */
export function noteWanted({ commands }: JupyterFrontEnd): void {
  commands.commandExecuted.connect((_, { id, args }) => {
    const { path, kernel } = args as { path?: string; kernel?: { name?: string; id?: string } };
    if (id === 'docmanager:open' && path && kernel?.name && !kernel.id) {
      const wanted = JSON.stringify({ document: path, kernel: kernel.name });
      sessionStorage.setItem(KEY, wanted);
    }
  });
}

/** JupyterLab makes a notebook's session under a temporary path, with the notebook's name. */
export function documentOf({ path, name }: Session.ISessionOptions): string {
  return PathExt.join(PathExt.dirname(path), name);
}

/** The kernelspec that was chosen for this document before its tab was opened. */
export function takeWanted(path: string): string | undefined {
  const { document, kernel } = JSON.parse(sessionStorage.getItem(KEY) ?? '{}');
  if (document !== path) {
    return undefined;
  }
  sessionStorage.removeItem(KEY);
  return kernel;
}
