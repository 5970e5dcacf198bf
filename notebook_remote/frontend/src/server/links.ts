/*
 * The links: the channels that the notebook server relays between this page and a gateway, each with
 * its state and its round trip times. Events bring changes of state, polling the rest.
 */

import { Event, ServerConnection, ServiceManager } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { NO_TRACK_ACTIVITY, requestApi } from './api';

const SCHEMA = 'https://events.jupyter.org/notebook_remote/link/v1';
const POLL_INTERVAL = 10_000; // milliseconds, while the page is visible
const MIN_FETCH_INTERVAL = 5000; // milliseconds, however many events there are

interface ILinkBase {
  kernel_id: string;
  /** The id of the page's kernel connection: its client id in JupyterLab. */
  session_id: string;
  backend: string;
  attempt?: number;
  attempts?: number;
}

export interface ILinkEvent extends ILinkBase {
  state: 'connecting' | 'connected' | 'silent' | 'lost' | 'closed' | 'gone' | 'refused';
  error?: string;
}

export interface ILink extends ILinkBase {
  /** Silent: the gateway does not answer pings, but the connection is still open. */
  state: 'connecting' | 'connected' | 'silent' | 'lost';
  reconnects: number;
  /** Seconds. */
  round_trip_time: { browser: number | null; gateway: number | null };
  last_error: string | null;
}

const NEW_LINK = { reconnects: 0, round_trip_time: { browser: null, gateway: null } };

/** The link event in an event of jupyter_server; null if it is about something else. */
export function parseLinkEvent(event: Event.Emission): ILinkEvent | null {
  return event.schema_id === SCHEMA ? (event as unknown as ILinkEvent) : null;
}

/** The links by session id, up to date while there are followers. */
export class Links {
  constructor(manager: ServiceManager.IManager) {
    this._settings = manager.serverSettings;
    this._poll = new Poll({
      auto: false,
      factory: () => this._fetch(),
      frequency: { interval: POLL_INTERVAL, backoff: true },
      name: 'notebook-remote:links',
      standby: 'when-hidden'
    });
    manager.events.stream.connect((_, event) => {
      const link = parseLinkEvent(event);
      if (link) {
        this._update(link);
      }
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The link of a kernel connection. */
  get(sessionId: string): ILink | undefined {
    return this._links.get(sessionId);
  }

  /** Poll the links until `unfollow` was called by all followers. */
  follow(follower: object): void {
    this._followers.add(follower);
    if (!this._polling) {
      this._polling = true;
      void this._poll.start();
    }
  }

  unfollow(follower: object): void {
    this._followers.delete(follower);
    if (this._polling && !this._followers.size) {
      this._polling = false;
      void this._poll.stop();
    }
  }

  private _update({ session_id, state, error, ...rest }: ILinkEvent): void {
    if (state === 'refused') {
      return; // one message was refused: the state of the link has not changed
    }
    if (state === 'closed' || state === 'gone') {
      this._links.delete(session_id);
    } else {
      const previous = this._links.get(session_id) ?? NEW_LINK;
      const last_error = error ?? null;
      this._links.set(session_id, { ...previous, ...rest, session_id, state, last_error });
    }
    this._changed.emit();
    if (this._polling && performance.now() - this._fetchedAt > MIN_FETCH_INTERVAL) {
      void this._poll.refresh();
    }
  }

  private async _fetch(): Promise<void> {
    this._fetchedAt = performance.now();
    const links = await requestApi<ILink[]>(this._settings, `links${NO_TRACK_ACTIVITY}`);
    this._links = new Map(links.map(link => [link.session_id, link]));
    this._changed.emit();
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _poll: Poll;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _followers = new Set<object>();
  private _links = new Map<string, ILink>();
  private _polling = false;
  private _fetchedAt = -Infinity;
}
