import { PromiseDelegate } from '@lumino/coreutils';
import { describe, expect, it } from 'vitest';

import { withPlaceholder } from '../../src/services/placeholders';

const PLACEHOLDER = ['python3'];
const LIST = ['python3', 'ir'];

describe('withPlaceholder', () => {
  it('has the list if it is there soon', async () => {
    let calledBack = false;
    const request = withPlaceholder(
      () => Promise.resolve(LIST),
      PLACEHOLDER,
      () => Promise.resolve(void (calledBack = true))
    );
    expect(await request()).toBe(LIST);
    await new Promise(resolve => setTimeout(resolve)); // after everything that has been resolved
    expect(calledBack).toBe(false);
  });

  it('has a placeholder first, calls back when the list is there, and requests it once', async () => {
    const response = new PromiseDelegate<string[]>();
    const loaded = new PromiseDelegate<void>();
    let requests = 0;
    const request = withPlaceholder(
      () => {
        requests++;
        return response.promise;
      },
      PLACEHOLDER,
      () => Promise.resolve(loaded.resolve())
    );
    expect(await request()).toBe(PLACEHOLDER);
    const second = request();
    expect(requests).toBe(1);
    response.resolve(LIST);
    expect(await second).toBe(LIST);
    await loaded.promise;
    expect(await request()).toBe(LIST);
    expect(requests).toBe(2);
  });

  it('fails if the request fails soon, and requests again the next time', async () => {
    const responses = [Promise.reject(new Error('refused')), Promise.resolve(LIST)];
    const request = withPlaceholder(
      () => responses.shift()!,
      PLACEHOLDER,
      () => Promise.resolve()
    );
    await expect(request()).rejects.toThrow('refused');
    expect(await request()).toBe(LIST);
  });
});
