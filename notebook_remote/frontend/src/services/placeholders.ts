/*
 * The list of files while the gateway of this computer starts, which may take longer than the page. It
 * waits for no list of it, and the New menu offers what that gateway has in any case: a tab that is
 * opened for it shows the start.
 */

import { KernelSpec } from '@jupyterlab/services';

import { backends } from '../server/config';

const LATE_AFTER = 1000; // milliseconds

/** What is offered then. */
export function earlySpecs(): KernelSpec.ISpecModels {
  const name = backends().length > 1 ? 'python3@embedded' : 'python3';
  const display_name = 'Python 3 (starting…)';
  const spec = { name, display_name, language: 'python', argv: [], resources: {} };
  return { default: name, kernelspecs: { [name]: spec } };
}

/**
 * The same, except that the first answer is `meanwhile` if it takes long; `onKnown` then tells when. It is
 * not asked for again until then: a browser has six requests under way to a server, and no more.
 */
export function early<T>(
  ask: () => Promise<T>,
  meanwhile: T,
  onKnown: () => Promise<void>
): () => Promise<T> {
  let first: Promise<T> | null = null;
  let known = false;
  return async () => {
    if (first) {
      return known ? ask() : first;
    }
    first = ask();
    const answered = first.then(
      () => (known = true),
      () => (known = true)
    );
    const late = new Promise<null>(resolve => window.setTimeout(resolve, LATE_AFTER, null));
    const answer = await Promise.race([first, late]);
    if (answer === null) {
      void answered.then(onKnown).catch(() => undefined);
    }
    return answer ?? meanwhile;
  };
}
