/*
 * What proves this page to a gateway in browser mode. The user is asked for the gateway's token,
 * which the page exchanges for a pass at once; without the add-on at the gateway it keeps the token
 * itself, if the server's configuration allows that. Either is kept for this tab only.
 */

import { PromiseDelegate } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { IBrowserBackend } from '../server/config';
import { isInsecure, knock } from '../channels/dial';

/** Exactly one of the two. */
export interface IProof {
  pass?: string;
  token?: string;
}

/** Why there is no proof; `problem` is worded by whoever shows it. */
export type Problem =
  | 'none' // it was not asked for yet
  | 'declined' // the user did not enter a token
  | 'refused' // the gateway does not take this token
  | 'insecure' // an https page must not speak to an http gateway
  | 'not allowed' // the gateway answers, but not to this page
  | 'unreachable';

export class NoProof extends Error {
  constructor(readonly problem: Problem) {
    super(problem);
  }
}

/** Asks the user for the token, saying what was wrong with the last; null if there is to be none. */
export type Ask = (backend: IBrowserBackend, problem: Problem) => Promise<string | null>;

const REFUSED = [401, 403];
const PATIENCE = 2000; // milliseconds for a gateway to say whether it takes what was kept

export class Credentials {
  constructor(private readonly _backend: IBrowserBackend) {
    this._key = `notebook-remote:${_backend.url}`;
  }

  /** Say how to ask the user; until then nobody is asked. */
  askBy(ask: Ask): void {
    this._ask.resolve(ask);
  }

  /** The proof. The user is asked for it, unless `quiet`, or declined. Rejects with NoProof. */
  async get(quiet = false): Promise<IProof> {
    this._proof ??= this._kept();
    const proof = await this._proof;
    if (proof) {
      return proof;
    }
    if (quiet || this._declined) {
      throw new NoProof(this._declined ? 'declined' : 'none');
    }
    this._asking ??= this._obtain().finally(() => (this._asking = null));
    return this._asking;
  }

  /** Emitted when the user has entered a token that was taken. */
  get obtained(): ISignal<this, void> {
    return this._obtained;
  }

  /** Forget a proof that the gateway did not take, unless there is a newer one already. */
  refused(proof: IProof): void {
    if (proof === this._taken) {
      this._forget();
    }
  }

  /** Ask the user anew, whatever there is. Rejects with NoProof. */
  async enter(): Promise<void> {
    this._forget();
    this._declined = false;
    await this.get();
  }

  /** Let the user be asked once more, who has declined. */
  askAgain(): void {
    this._declined = false;
  }

  get declined(): boolean {
    return this._declined;
  }

  private _forget(): void {
    this._taken = this._proof = null;
    sessionStorage.removeItem(this._key);
  }

  private async _kept(): Promise<IProof | null> {
    const kept = sessionStorage.getItem(this._key);
    if (kept !== null) {
      const proof = JSON.parse(kept) as IProof;
      if (await this._isTaken(proof)) {
        return (this._taken = proof);
      }
      sessionStorage.removeItem(this._key);
    }
    return null;
  }

  private async _obtain(): Promise<IProof> {
    const { url } = this._backend;
    if (isInsecure(url) && (await whyNot(url)) === 'insecure') {
      throw new NoProof('insecure'); // no token would help
    }
    const ask = await this._ask.promise;
    let problem: Problem = 'none';
    for (;;) {
      const token = await ask(this._backend, problem);
      if (!token) {
        this._declined = true;
        throw new NoProof('declined');
      }
      try {
        const proof = await this._exchange(token);
        sessionStorage.setItem(this._key, JSON.stringify(proof));
        this._taken = proof;
        this._proof = Promise.resolve(proof);
        this._obtained.emit();
        return proof;
      } catch (error) {
        problem = error instanceof NoProof ? error.problem : 'unreachable';
      }
    }
  }

  private async _isTaken(proof: IProof): Promise<boolean> {
    try {
      const init = { signal: AbortSignal.timeout(PATIENCE) };
      return !REFUSED.includes((await send(this._backend, 'kernelspecs', init, proof)).status);
    } catch {
      return true; // it cannot be reached now, which says nothing about the proof
    }
  }

  private async _exchange(token: string): Promise<IProof> {
    const { scope, insecure_token } = this._backend;
    const body = JSON.stringify({ origin: location.origin, scope });
    try {
      const response = await send(
        this._backend,
        'notebook-remote/pass',
        { method: 'POST', body },
        { token }
      );
      if (response.ok) {
        return { pass: (await response.json()).pass };
      }
      if (REFUSED.includes(response.status)) {
        throw new NoProof('refused');
      }
    } catch (error) {
      if (error instanceof NoProof) {
        throw error;
      }
      // A page may not read the answer of a gateway without the add-on, not even that it is 404.
    }
    if (insecure_token) {
      try {
        const response = await send(this._backend, 'kernelspecs', {}, { token });
        if (REFUSED.includes(response.status)) {
          throw new NoProof('refused');
        }
        return { token };
      } catch (error) {
        if (error instanceof NoProof) {
          throw error;
        }
      }
    }
    throw new NoProof(await whyNot(this._backend.url));
  }

  private readonly _ask = new PromiseDelegate<Ask>();
  private readonly _key: string;
  private _declined = false;
  private _proof: Promise<IProof | null> | null = null; // null if there is none
  private _taken: IProof | null = null; // what `_proof` has become
  private _asking: Promise<IProof> | null = null;
  private readonly _obtained = new Signal<this, void>(this);
}

async function whyNot(url: string): Promise<Problem> {
  return knock(url).then(
    () => 'not allowed',
    () => (isInsecure(url) ? 'insecure' : 'unreachable')
  );
}

/**
 * Send a request to a route below the gateway's `api/`; with a pass, to that of the add-on.
 *
 * Nothing of the notebook server's goes with it: no cookie, no XSRF token. Rejects as fetch does.
 */
export function send(
  { url }: IBrowserBackend,
  route: string,
  init: RequestInit,
  { pass, token }: IProof
): Promise<Response> {
  return fetch(`${url}/api/${pass ? 'notebook-remote/' : ''}${route}`, {
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
