import { describe, expect, it } from 'vitest';

import { displayName, qualifyName, splitName } from '../src/kernelspecNames';

describe('splitName', () => {
  it('splits a qualified name', () => {
    expect(splitName('python3@gpu')).toEqual({ kernelspec: 'python3', backend: 'gpu' });
  });

  it('finds no backend in a plain name', () => {
    expect(splitName('python3')).toEqual({ kernelspec: 'python3', backend: undefined });
  });

  it('splits at the last separator', () => {
    expect(splitName('a@b@c')).toEqual({ kernelspec: 'a@b', backend: 'c' });
  });

  it('takes an empty kernelspec for the default one', () => {
    expect(splitName('@gpu')).toEqual({ kernelspec: undefined, backend: 'gpu' });
    expect(splitName('')).toEqual({ kernelspec: undefined, backend: undefined });
  });

  it('is the inverse of qualifyName', () => {
    for (const name of ['python3', 'ir', 'conda-env-a.b_c', 'with space', 'a@b']) {
      expect(splitName(qualifyName(name, 'gpu'))).toEqual({ kernelspec: name, backend: 'gpu' });
    }
  });
});

it('displayName has both names', () => {
  expect(displayName('Python 3', 'This computer')).toBe('Python 3 · This computer');
});
