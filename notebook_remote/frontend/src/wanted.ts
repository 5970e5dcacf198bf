/*
 * Notebook's list of files starts the kernel of a new notebook itself, while it opens a tab for it.
 * In browser mode that is left to the tab, where the user sees it if a token is asked for.
 */

import { PageConfig, PathExt } from '@jupyterlab/coreutils';

const KEY = 'notebook-remote:wanted'; // of sessionStorage, of which a new tab gets a copy

/** Whether this page opens notebooks in tabs of their own. */
export function opensTabs(): boolean {
  return PageConfig.getOption('notebookPage') === 'tree';
}

/** JupyterLab makes a notebook's session under a temporary path, with the notebook's name. */
export function leaveToTab({ path, name }: { path: string; name: string }, kernel: string): void {
  const document = PathExt.join(PathExt.dirname(path), name);
  sessionStorage.setItem(KEY, JSON.stringify({ document, kernel }));
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
