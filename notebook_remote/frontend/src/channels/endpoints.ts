/* The endpoints of a kernel's channels, requested from the notebook server. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { FallbackReason } from '../tokens';

/** A kernel's channels, as JupyterLab addresses them at the notebook server. */
export interface IKernelChannels {
  url: string;
  kernelId: string;
  sessionId: string;
}

/** Where a kernel's channels can be opened. */
export interface IEndpoint {
  kind: 'direct' | 'relay';
  url: string;
  protocols: string[];
  /** Of a direct endpoint: the address at which the gateway answers HTTP requests. */
  base?: string;
  /** Whether the gateway has just answered this page, so that a probe can be skipped. */
  reachable?: boolean;
}

export interface IEndpoints {
  backend: string;
  /** In the order in which they are tried. */
  endpoints: IEndpoint[];
  /** Why there is no direct endpoint, if direct mode should have one. */
  fallbackReason?: FallbackReason;
}

/** The notebook server or the gateway is unavailable, which says nothing about the kernel. */
export class EndpointsUnavailable extends Error {}

/** The body of a response, in the names of the notebook server's REST API. */
interface IResponseBody {
  backend?: string;
  places?: IEndpoint[];
  why?: string;
  message?: string;
}

const CHANNELS_PATH = /\/api\/kernels\/([^/]+)\/channels$/;
const KERNEL_NOT_FOUND = 404;
const UNAVAILABLE_STATUS = [424, 503];

/** Parse the address of a WebSocket; null if it is not that of a kernel's channels. */
export function parseChannelsUrl(address: string | URL): IKernelChannels | null {
  const url = new URL(address);
  const kernelId = CHANNELS_PATH.exec(url.pathname)?.[1];
  const sessionId = url.searchParams.get('session_id');
  return kernelId && sessionId ? { url: url.href, kernelId, sessionId } : null;
}

/**
 * Request the endpoints for one connection: a ticket in them is valid once.
 *
 * Rejects with EndpointsUnavailable if a retry may help, and with another error if the kernel does not
 * exist. After any other error the relay is still an endpoint, at the address that JupyterLab uses.
 */
export async function requestEndpoints(
  { url, kernelId, sessionId }: IKernelChannels,
  protocols: string[],
  settings: ServerConnection.ISettings,
  signal: AbortSignal
): Promise<IEndpoints> {
  const response = await ServerConnection.makeRequest(
    URLExt.join(settings.baseUrl, 'notebook-remote/api/kernels', kernelId, 'channels'),
    { method: 'POST', body: JSON.stringify({ session_id: sessionId }), signal },
    settings
  ).catch(error => {
    throw new EndpointsUnavailable(String(error));
  });
  const body = (await response.json().catch(() => ({}))) as IResponseBody;
  if (response.ok) {
    const { backend = '', places = [], why } = body;
    // The server knows its own path only, JupyterLab the whole address.
    const endpoints = places.map(place => (place.kind === 'relay' ? { ...place, url } : place));
    return { backend, endpoints, fallbackReason: why };
  }
  const message = body.message || response.statusText;
  if (UNAVAILABLE_STATUS.includes(response.status)) {
    throw new EndpointsUnavailable(message);
  }
  if (response.status === KERNEL_NOT_FOUND) {
    throw new Error(message);
  }
  return { backend: '', endpoints: [{ kind: 'relay', url, protocols }], fallbackReason: message };
}
