/* Opens a kernel's channels at the best place that can be reached. */

import { dial, httpBase, NotOpened } from './dial';
import { IAnswer, IPlace, ITarget } from './places';
import { Routes, Why } from './routes';

const ANSWER_WITHIN = 30_000; // milliseconds to be told where

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
  const start = performance.now();
  const attempt = (routes.get(sessionId)?.attempt ?? 0) + 1;
  routes.update(sessionId, { attempt });

  const tooLate = window.setTimeout(() => abort.abort(), ANSWER_WITHIN);
  const answer = await ask(target, protocols, abort.signal).finally(() =>
    window.clearTimeout(tooLate)
  );

  let why: Why = answer.why ?? '';
  let gateway = '';
  const failed: string[] = [];

  /* The socket, or null if the next place is to be tried. */
  async function attemptAt(place: IPlace): Promise<WebSocket | null> {
    const origin = place.kind === 'direct' ? httpBase(place) : '';
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
