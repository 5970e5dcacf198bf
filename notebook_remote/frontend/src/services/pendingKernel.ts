/*
 * The kernel of a new notebook whose tab is not open yet. Notebook's tree page, the list of files, would
 * start the kernel itself while it opens the tab. That is left to the tab, for three reasons: the
 * user sees the start, or is asked for a token; the tab opens at once, since browsers allow that only
 * for seconds after a click; and the tree page gets no connection to the kernel, which would close every
 * comm of a widget, since that page has no widget manager.
 */

import { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig, PathExt } from '@jupyterlab/coreutils';
import { Session } from '@jupyterlab/services';

const STORAGE_KEY = 'notebook-remote:pending-kernel'; // in sessionStorage, which a new tab copies

interface IPendingKernel {
  path: string;
  kernelspec: string;
}

/** Whether this page is Notebook's list of files, which opens notebooks in tabs of their own. */
export function isTreePage(): boolean {
  return PageConfig.getOption('notebookPage') === 'tree';
}

/** Store the kernelspec that the user chooses in this page for a new notebook. */
export function storePendingKernels({ commands }: JupyterFrontEnd): void {
  commands.commandExecuted.connect((_, { id, args }) => {
    const { path, kernel } = args as { path?: string; kernel?: { name?: string; id?: string } };
    if (id === 'docmanager:open' && path && kernel?.name && !kernel.id) {
      const pending: IPendingKernel = { path, kernelspec: kernel.name };
      sessionStorage.setItem(STORAGE_KEY, JSON.stringify(pending));
    }
  });
}

/** The path of a notebook. JupyterLab creates its session with a temporary path and the real name. */
export function notebookPath({ path, name }: Session.ISessionOptions): string {
  return PathExt.join(PathExt.dirname(path), name);
}

/** The kernelspec that was chosen for this notebook before its tab was opened; only once. */
export function takePendingKernel(path: string): string | undefined {
  const item = sessionStorage.getItem(STORAGE_KEY);
  const pending = item ? (JSON.parse(item) as IPendingKernel) : undefined;
  if (pending?.path !== path) {
    return undefined;
  }
  sessionStorage.removeItem(STORAGE_KEY);
  return pending.kernelspec;
}
