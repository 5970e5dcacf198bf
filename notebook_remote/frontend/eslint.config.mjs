import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// A folder imports from itself, from the modules beside the folders, and from folders before it.
const FOLDERS = ['server', 'channels', 'browser', 'services', 'notifications', 'toolbar', 'ui'];

const layers = FOLDERS.map((folder, i) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: ['../index', ...FOLDERS.slice(i + 1).map(higher => `../${higher}/*`)],
            message: `${folder}/ must not import from a folder of a higher layer.`
          }
        ]
      }
    ]
  }
}));

export default defineConfig(
  { ignores: ['build/', 'lib/', 'node_modules/'] },
  eslint.configs.recommended,
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/unbound-method': 'off' // Lumino's signals bind `this` themselves
    }
  },
  ...layers
);
