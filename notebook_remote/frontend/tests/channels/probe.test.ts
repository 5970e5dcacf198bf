import { describe, expect, it } from 'vitest';

import { isMixedContent } from '../../src/channels/probe';

describe('isMixedContent', () => {
  it.each([
    ['http://gpu:8888', 'https:', true],
    ['https://gpu:8888', 'https:', false],
    ['http://gpu:8888', 'http:', false],
    ['http://localhost:8888', 'https:', false],
    ['http://127.0.0.1:8888', 'https:', false],
    ['http://[::1]:8888', 'https:', false],
    ['http://localhost.example.com', 'https:', true]
  ])('of %s in a page over %s is %s', (base, protocol, expected) => {
    expect(isMixedContent(base, protocol)).toBe(expected);
  });
});
