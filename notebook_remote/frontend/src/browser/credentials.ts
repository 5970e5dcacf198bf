/*
 * What authenticates this page at a gateway in browser mode. The user enters the gateway's token,
 * which the page exchanges for a pass at once. A gateway without the add-on issues no passes: then the
 * page stores the token itself, if the server's configuration allows that. Either is stored for this
 * tab only.
 */

import { PromiseDelegate } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { isMixedContent, ping } from '../channels/probe';
import { IBrowserBackend } from '../server/config';
import { ICredential, sendRequest } from './requests';

/** Why there is no credential. The dialog for the token has a sentence for each. */
export type CredentialProblem =
  | 'none' // the user was not asked yet
  | 'declined' // the user closed the dialog without a token
  | 'refused' // the gateway refused the token
  | 'insecure' // the page was loaded over https, the gateway has http only
  | 'not allowed' // the gateway answers, but does not allow this page's origin
  | 'unreachable';

export class NoCredential extends Error {
  constructor(readonly problem: CredentialProblem) {
    super(problem);
  }
}

/** Asks the user for a token and says what was wrong with the last one; null if the user declines. */
export type TokenPrompt = (
  backend: IBrowserBackend,
  problem: CredentialProblem
) => Promise<string | null>;

const UNAUTHORIZED = [401, 403];
const VALIDATION_TIMEOUT = 2000; // milliseconds

export class Credentials {
  constructor(private readonly _backend: IBrowserBackend) {
    this._storageKey = `notebook-remote:${_backend.url}`;
  }

  /** Set how the user is asked. Requests for a credential wait for it. */
  setPrompt(prompt: TokenPrompt): void {
    this._prompt.resolve(prompt);
  }

  /** Emitted when the user has entered a token that the gateway accepts. */
  get signedIn(): ISignal<this, void> {
    return this._signedIn;
  }

  /** Whether the user closed the dialog without a token. */
  get declined(): boolean {
    return this._declined;
  }

  /**
   * The credential. If there is none the user is asked, unless `quiet`, or the user declined before.
   * Rejects with NoCredential.
   */
  async get(quiet = false): Promise<ICredential> {
    this._stored ??= this._restore();
    const credential = await this._stored;
    if (credential) {
      return credential;
    }
    if (quiet || this._declined) {
      throw new NoCredential(this._declined ? 'declined' : 'none');
    }
    this._signingIn ??= this._signIn().finally(() => (this._signingIn = null));
    return this._signingIn;
  }

  /** Discard a credential that the gateway refused, unless there is a newer one already. */
  discard(credential: ICredential): void {
    if (credential === this._current) {
      this._clear();
    }
  }

  /** Ask the user for a new token. Rejects with NoCredential. */
  async renew(): Promise<void> {
    this._clear();
    this._declined = false;
    await this.get();
  }

  /** Ask the user again when a credential is needed, even after the user declined. */
  allowPrompt(): void {
    this._declined = false;
  }

  private _clear(): void {
    this._current = null;
    this._stored = Promise.resolve(null);
    sessionStorage.removeItem(this._storageKey);
  }

  /** The credential that this tab stored before the page was reloaded, if it is still valid. */
  private async _restore(): Promise<ICredential | null> {
    const item = sessionStorage.getItem(this._storageKey);
    if (item !== null) {
      const credential = JSON.parse(item) as ICredential;
      if (await this._isAccepted(credential)) {
        return (this._current = credential);
      }
      sessionStorage.removeItem(this._storageKey);
    }
    return null;
  }

  /** Ask until the gateway accepts a token. */
  private async _signIn(): Promise<ICredential> {
    const { url } = this._backend;
    if (isMixedContent(url) && (await diagnose(url)) === 'insecure') {
      throw new NoCredential('insecure'); // no token would help
    }
    const prompt = await this._prompt.promise;
    let problem: CredentialProblem = 'none';
    for (;;) {
      const token = await prompt(this._backend, problem);
      if (!token) {
        this._declined = true;
        throw new NoCredential('declined');
      }
      try {
        const credential = await this._exchange(token);
        sessionStorage.setItem(this._storageKey, JSON.stringify(credential));
        this._current = credential;
        this._stored = Promise.resolve(credential);
        this._signedIn.emit();
        return credential;
      } catch (error) {
        problem = error instanceof NoCredential ? error.problem : 'unreachable';
      }
    }
  }

  private async _isAccepted(credential: ICredential): Promise<boolean> {
    try {
      const init = { signal: AbortSignal.timeout(VALIDATION_TIMEOUT) };
      const { status } = await sendRequest(this._backend, 'kernelspecs', init, credential);
      return !UNAUTHORIZED.includes(status);
    } catch {
      return true; // unreachable, which says nothing about the credential
    }
  }

  /** Exchange a token for a pass, or validate it if the token itself may be used. */
  private async _exchange(token: string): Promise<ICredential> {
    const pass = await this._requestPass(token);
    if (pass) {
      return pass;
    }
    if (this._backend.insecure_token && (await this._validate(token))) {
      return { token };
    }
    throw new NoCredential(await diagnose(this._backend.url));
  }

  /** Null if the gateway issues no passes, or cannot be reached. */
  private async _requestPass(token: string): Promise<ICredential | null> {
    const body = JSON.stringify({ origin: location.origin, scope: this._backend.scope });
    // Without the add-on the gateway's CORS policy hides the response, even that it is a 404.
    const response = await sendRequest(
      this._backend,
      'notebook-remote/pass',
      { method: 'POST', body },
      { token }
    ).catch(() => null);
    if (response?.ok) {
      const body = (await response.json().catch(() => null)) as { pass?: string } | null;
      return body?.pass ? { pass: body.pass } : null;
    }
    if (response && UNAUTHORIZED.includes(response.status)) {
      throw new NoCredential('refused');
    }
    return null;
  }

  /** Whether the gateway answers a request with the token. */
  private async _validate(token: string): Promise<boolean> {
    const response = await sendRequest(this._backend, 'kernelspecs', {}, { token }).catch(
      () => null
    );
    if (response && UNAUTHORIZED.includes(response.status)) {
      throw new NoCredential('refused');
    }
    return response !== null;
  }

  private readonly _prompt = new PromiseDelegate<TokenPrompt>();
  private readonly _storageKey: string;
  private readonly _signedIn = new Signal<this, void>(this);
  private _declined = false;
  private _stored: Promise<ICredential | null> | null = null; // null before it was restored
  private _current: ICredential | null = null; // the result of `_stored`
  private _signingIn: Promise<ICredential> | null = null;
}

/** Why a gateway did not give a readable response. */
async function diagnose(url: string): Promise<CredentialProblem> {
  return ping(url).then(
    () => 'not allowed',
    () => (isMixedContent(url) ? 'insecure' : 'unreachable')
  );
}
