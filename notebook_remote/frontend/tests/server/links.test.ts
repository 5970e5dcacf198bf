import { Event } from '@jupyterlab/services';
import { expect, it } from 'vitest';

import { parseLinkEvent } from '../../src/server/links';

const LINK = 'https://events.jupyter.org/notebook_remote/link/v1';

function event(schema_id: string): Event.Emission {
  return { schema_id, state: 'lost', session_id: 's1' };
}

it('parseLinkEvent knows the events about links by their schema', () => {
  expect(parseLinkEvent(event(LINK))).toMatchObject({ state: 'lost', session_id: 's1' });
  expect(parseLinkEvent(event(LINK.replace('v1', 'v2')))).toBeNull();
});
