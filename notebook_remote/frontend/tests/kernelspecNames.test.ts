import { expect, it } from 'vitest';

import { displayName, qualifyName, splitName } from '../src/kernelspecNames';
import cases from './kernelspecNames.json'; // language-neutral, so that Python can be held to them too

it.each(cases)('splitName("$name")', ({ name, kernelspec, backend }) => {
  expect(splitName(name)).toEqual({
    kernelspec: kernelspec ?? undefined,
    backend: backend ?? undefined
  });
});

it.each(['python3', 'with space', 'a@b'])('splitName is the inverse of qualifyName("%s")', name => {
  expect(splitName(qualifyName(name, 'gpu'))).toEqual({ kernelspec: name, backend: 'gpu' });
});

it('displayName has both names', () => {
  expect(displayName('Python 3', 'This computer')).toBe('Python 3 · This computer');
});
