/* Asks the notebook server where the channels of a kernel are. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

export interface IPlace {
  kind: 'direct' | 'relay';
  url: string;
  protocols: string[];
  /** Where the gateway at a direct place answers HTTP requests. */
  base?: string;
  /** Whether the gateway there has just answered this page. */
  answers?: boolean;
}

export interface IAnswer {
  backend: string;
  places: IPlace[];
  /** Why there is no direct place, in a sentence, where there should be one. */
  why?: string;
}

/** A kernel's channels as the page asks for them: at the notebook server. */
export interface ITarget {
  url: string;
  kernelId: string;
  sessionId: string;
}

const CHANNELS = /\/api\/kernels\/([^/]+)\/channels$/;
const GONE = 404;
const AWAY = [424, 503];

/** The server, or the gateway, cannot be asked now: that says nothing about the kernel. */
export class Away extends Error {}

/** What a socket's address asks for, or null if it is not for a kernel's channels. */
export function target(address: string | URL): ITarget | null {
  const url = new URL(address);
  const kernelId = CHANNELS.exec(url.pathname)?.[1];
  const sessionId = url.searchParams.get('session_id');
  return kernelId && sessionId ? { url: url.href, kernelId, sessionId } : null;
}

/**
 * Where a kernel's channels are now, best first; a ticket in them is good for one socket.
 *
 * Rejects if the kernel is gone, and with Away if it or the server is out of reach. With any other
 * trouble there is still the relay, at the address that the page knows.
 */
export async function askForPlaces(
  { url, kernelId, sessionId }: ITarget,
  protocols: string[],
  settings: ServerConnection.ISettings,
  signal: AbortSignal
): Promise<IAnswer> {
  const response = await ServerConnection.makeRequest(
    URLExt.join(settings.baseUrl, 'notebook-remote/api/kernels', kernelId, 'channels'),
    { method: 'POST', body: JSON.stringify({ session_id: sessionId }), signal },
    settings
  ).catch(error => {
    throw new Away(String(error));
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    const relayed = (place: IPlace) => (place.kind === 'relay' ? { ...place, url } : place);
    return { ...answer, places: (answer.places as IPlace[]).map(relayed) };
  }
  const why = answer.message || response.statusText;
  if (AWAY.includes(response.status)) {
    throw new Away(why);
  }
  if (response.status === GONE) {
    throw new Error(why);
  }
  return { backend: '', places: [{ kind: 'relay', url, protocols }], why };
}
