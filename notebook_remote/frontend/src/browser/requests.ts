/* Requests of a page to a gateway in browser mode. */

import { IBrowserBackend } from '../server/config';

/** What authenticates this page at a gateway: exactly one of the two. */
export interface ICredential {
  pass?: string;
  token?: string;
}

/**
 * The URL of a route such as `kernels/<id>`. The add-on has the routes for passes, at fixed paths; those
 * of the gateway itself may have been configured.
 */
export function routeUrl(backend: IBrowserBackend, route: string, withPass: boolean): string {
  const { url, kernels_endpoint, kernelspecs_endpoint } = backend;
  const [collection] = route.split('/', 1);
  const configured = { kernels: kernels_endpoint, kernelspecs: kernelspecs_endpoint }[collection];
  return withPass
    ? `${url}/api/notebook-remote/${route}`
    : url + (configured ?? `/api/${collection}`) + route.slice(collection.length);
}

/** The URL of a kernel's channels. */
export function channelsUrl(
  { ws_url, kernels_endpoint = '/api/kernels' }: IBrowserBackend,
  kernelId: string,
  query: URLSearchParams
): string {
  return `${ws_url}${kernels_endpoint}/${kernelId}/channels?${query}`;
}

/** The route in a URL of JupyterLab's REST clients, whose base URL is that of the gateway. */
export function routeOf({ url }: IBrowserBackend, address: string): string {
  return address.slice(`${url}/api/`.length).replace(/\?.*/, '');
}

/** Send a request. Cookies of the notebook server do not go with it. Rejects as `fetch` does. */
export function sendRequest(
  backend: IBrowserBackend,
  route: string,
  init: RequestInit,
  { pass, token }: ICredential
): Promise<Response> {
  return fetch(routeUrl(backend, route, pass !== undefined), {
    ...init,
    headers: {
      Authorization: pass ? `nr-pass ${pass}` : `token ${token}`,
      ...(init.body ? { 'Content-Type': 'application/json' } : {})
    },
    cache: 'no-store',
    credentials: 'omit',
    referrerPolicy: 'no-referrer'
  });
}
