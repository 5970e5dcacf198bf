/* Opens a kernel's channels at the best place that can be reached. */

import { dial, NotOpened } from './dial';
import { Away, IAnswer, IPlace, ITarget } from './endpoints';
import { untilThere } from '../retry';
import { Routes, Why } from './routes';

// Milliseconds.
const ANSWER_WITHIN = 30_000; // to be told where
const LONGEST_PAUSE = 2000; // before it is asked again

/** Asks where a kernel's channels are; `protocols` are for the one that the page itself knows. */
export type AskForPlaces = (
  target: ITarget,
  protocols: string[],
  signal: AbortSignal
) => Promise<IAnswer>;

/** Open the channels; `protocols` are those that the page would ask the notebook server for. */
export async function openChannels(
  target: ITarget,
  protocols: string[],
  routes: Routes,
  ask: AskForPlaces,
  abort: AbortController
): Promise<WebSocket> {
  const { sessionId } = target;
  let start = 0;

  /* One attempt to be told where. */
  function askOnce(): Promise<IAnswer> {
    start = performance.now();
    routes.update(sessionId, { attempt: (routes.get(sessionId)?.attempt ?? 0) + 1 });
    return ask(target, protocols, abort.signal);
  }

  const tooLate = window.setTimeout(() => abort.abort(), ANSWER_WITHIN);
  // If this was left to JupyterLab, it would not look again for 10 to 30 seconds after an outage of one.
  const answer = await untilThere(askOnce, {
    isAway: error => error instanceof Away,
    longestPause: LONGEST_PAUSE,
    signal: abort.signal
  }).finally(() => window.clearTimeout(tooLate));

  let why: Why = answer.why ?? '';
  let gateway = '';
  const failed: string[] = [];

  /* The socket, or null if the next place is to be tried. */
  async function attemptAt(place: IPlace): Promise<WebSocket | null> {
    const origin = place.base ?? '';
    gateway = origin || gateway;
    const avoided = origin && routes.avoided(origin);
    if (avoided) {
      why = avoided;
      return null;
    }
    try {
      return await dial(place, abort.signal);
    } catch (error) {
      if (abort.signal.aborted || !origin) {
        throw error;
      }
      why = (error as NotOpened).why;
      failed.push(origin);
      return null;
    }
  }

  for (const place of answer.places) {
    const socket = await attemptAt(place);
    if (socket) {
      // Where no place could be reached the network is to blame, and not the direct way.
      failed.forEach(origin => routes.avoid(origin, why));
      routes.update(sessionId, {
        backend: answer.backend,
        kind: place.kind,
        why: place.kind === 'direct' ? '' : why,
        attempt: 0,
        took: performance.now() - start,
        gateway
      });
      return socket;
    }
  }
  throw new NotOpened(why);
}
