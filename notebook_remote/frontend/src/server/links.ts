/* What the notebook server says about the links it relays: to this page, to the gateway. */

import { Event, ServerConnection, ServiceManager } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { ask, NO_ACTIVITY } from './api';

const SCHEMA = 'https://events.jupyter.org/notebook_remote/link/v1';
const POLL_EVERY = 10_000; // milliseconds, while the page is visible
const AT_MOST_EVERY = 5000; // milliseconds, whatever happens

interface ILinkState {
  kernel_id: string;
  /** The id of the page's connection; its client id in JupyterLab. */
  session_id: string;
  backend: string;
  attempt?: number;
  attempts?: number;
}

export interface ILinkEvent extends ILinkState {
  state: 'connecting' | 'connected' | 'silent' | 'lost' | 'closed' | 'gone' | 'refused';
  error?: string;
}

export interface ILink extends ILinkState {
  /** Silent: the gateway does not answer, and the connection is kept, since it may go on. */
  state: 'connecting' | 'connected' | 'silent' | 'lost';
  reconnects: number;
  /** Seconds. */
  round_trip_time: { browser: number | null; gateway: number | null };
  last_error: string | null;
}

const NEW = { reconnects: 0, round_trip_time: { browser: null, gateway: null } };

/** An event of jupyter_server as one about a link, or null. */
export function asLinkEvent(event: Event.Emission): ILinkEvent | null {
  return event.schema_id === SCHEMA ? (event as unknown as ILinkEvent) : null;
}

/** The links by their session ids, kept up to date while somebody follows them. */
export class Links {
  constructor(manager: ServiceManager.IManager) {
    this._settings = manager.serverSettings;
    this._poll = new Poll({
      auto: false,
      factory: () => this._fetch(),
      frequency: { interval: POLL_EVERY, backoff: true },
      name: 'notebook-remote:links',
      standby: 'when-hidden'
    });
    manager.events.stream.connect((_, event) => {
      const link = asLinkEvent(event);
      if (link) {
        this._note(link);
      }
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The link of a page's connection to a kernel, by the connection's session id. */
  get(sessionId: string): ILink | undefined {
    return this._links.get(sessionId);
  }

  /** Fetch the links regularly as long as somebody wants them. */
  follow(who: object, wanted: boolean): void {
    const before = this._followers.size;
    this._followers[wanted ? 'add' : 'delete'](who);
    if (!before && this._followers.size) {
      void this._poll.start();
    } else if (before && !this._followers.size) {
      void this._poll.stop();
    }
  }

  private _note({ session_id, state, error, ...more }: ILinkEvent): void {
    if (state === 'refused') {
      return; // the link stands
    }
    if (state === 'closed' || state === 'gone') {
      this._links.delete(session_id);
    } else {
      const before = this._links.get(session_id) ?? NEW;
      const last_error = error ?? null;
      this._links.set(session_id, { ...before, ...more, session_id, state, last_error });
    }
    this._changed.emit();
    if (this._followers.size && performance.now() - this._fetched > AT_MOST_EVERY) {
      void this._poll.refresh();
    }
  }

  private async _fetch(): Promise<void> {
    this._fetched = performance.now();
    const links = await ask<ILink[]>(this._settings, `links${NO_ACTIVITY}`);
    this._links = new Map(links.map(link => [link.session_id, link]));
    this._changed.emit();
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _followers = new Set<object>();
  private _links = new Map<string, ILink>();
  private _fetched = -Infinity;
}
