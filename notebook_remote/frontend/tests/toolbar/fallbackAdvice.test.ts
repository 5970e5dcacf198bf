import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import { fallbackAdvice } from '../../src/toolbar/fallbackAdvice';

const trans = nullTranslator.load('notebook_remote');
const advice = (reason: string, url = 'https://gpu:8888/team-a') =>
  fallbackAdvice(reason, url, trans).join(' ');

describe('fallbackAdvice', () => {
  it('names the sources that the policy has to allow, without a path', () => {
    expect(advice('policy')).toContain('Add https://gpu:8888 wss://gpu:8888 to');
    expect(advice('policy', 'http://gpu')).toContain('Add http://gpu ws://gpu to');
  });

  it('mentions the certificate only where there is one', () => {
    expect(advice('refused')).toContain('certificate');
    expect(advice('refused', 'http://gpu')).not.toContain('certificate');
  });

  it.each(['insecure', 'policy', 'local network', 'silent', 'refused', 'not opened', 'slow'])(
    'says more than the word itself for %s',
    reason => {
      expect(advice(reason)).not.toBe(reason);
    }
  );

  it("is the server's sentence if that is the reason", () => {
    expect(advice('The gateway gives no tickets.')).toBe('The gateway gives no tickets.');
  });
});
