import type { Emit } from '../pipeline/events.js';
import { type EnvironmentVariable, parseVariable } from '../s2i/environment.js';
import type { ReadAll } from './options.js';

/**
 * The variables of `-e`. A value with both `,` and `=` is kept whole, with a notice, as S2I does; `sti` of 2014 had a comma between
 * variables. Throws USAGE.
 */
export const readEnvironment: ReadAll<readonly EnvironmentVariable[]> = (texts, _option, { program, emit }) =>
	texts.flatMap((text) => {
		const parts = text.split(',');
		if (program === 'sti' && parts.every((part) => /^[^=]+=[^=]*$/.test(part))) return parts.map(parseVariable);
		const variable = parseVariable(text);
		if (variable.value.includes(',') && variable.value.includes('=')) warnOfComma(variable.name, emit);
		return variable;
	});

/** `variables` with BUILD_LOGLEVEL, when a loglevel was asked for and it is neither among them nor among `environment`. */
export function withLoglevel(
	variables: readonly EnvironmentVariable[],
	loglevel: number | undefined,
	environment: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
	const isSet = [...environment, ...variables].some(({ name }) => name === 'BUILD_LOGLEVEL');
	return loglevel === undefined || isSet
		? variables
		: [...variables, { name: 'BUILD_LOGLEVEL', value: String(loglevel) }];
}

function warnOfComma(name: string, emit: Emit): void {
	const message = `--env ${name}: the value is kept whole; several variables in one --env, separated by commas, are deprecated: give --env for each`;
	emit({ type: 'warning', code: 'DEPRECATED', message });
}
