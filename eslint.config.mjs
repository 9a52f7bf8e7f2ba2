import tseslint from 'typescript-eslint';

export default tseslint.config(
	{ ignores: ['dist/', 'testdata/', 'node_modules/', '.demo/', '*.cjs', '*.mjs', 'bin/', 'scripts/', 'bench/'] },
	{
		files: ['src/**/*.ts', 'test/**/*.ts'],
		extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
		languageOptions: { parserOptions: { projectService: true } },
		rules: {
			'@typescript-eslint/switch-exhaustiveness-check': 'error',
			'@typescript-eslint/return-await': ['error', 'in-try-catch'],
			'@typescript-eslint/consistent-type-imports': 'error',
			// Types of options are made from their declarations; those of functions are said.
			'@typescript-eslint/explicit-module-boundary-types': 'error',
			'@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
			'@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
			'max-lines': ['error', { max: 300, skipComments: true, skipBlankLines: true }],
			'max-lines-per-function': ['error', { max: 60, skipComments: true, skipBlankLines: true }],
			complexity: ['error', 12],
			'no-console': 'error',
		},
	},
	{
		files: ['test/**/*.ts'],
		ignores: ['test/support/needs.ts'],
		rules: {
			'max-lines-per-function': 'off',
			'no-console': 'off',
			'no-restricted-syntax': [
				'error',
				{
					selector: 'MemberExpression[property.name=/^(skip|skipIf|runIf|todo)$/]',
					message: 'Skip with needs() or skipFor() of test/support/needs.ts, which say why in the summary.',
				},
			],
		},
	},
);
