import type { Emit } from '../pipeline/events.js';
import { type EnvironmentVariable, parseAssignment, parseVariable } from '../s2i/environment.js';
import type { RequestContext } from './host-request.js';

/**
 * The variables of `-e`. A value with both `,` and `=` is kept whole, with a notice, as S2I does; `sti` of 2014 had a comma between
 * variables. Throws USAGE.
 */
export function readEnvironment(
	texts: readonly string[],
	{ program, emit }: Pick<RequestContext, 'program' | 'emit'>,
): readonly EnvironmentVariable[] {
	return texts.flatMap((text) => {
		const parts = text.split(',');
		if (program === 'sti' && parts.every((part) => /^[^=]+=[^=]*$/.test(part))) return parts.map(parseVariable);
		const variable = parseVariable(text);
		if (variable.value.includes(',') && variable.value.includes('=')) warnOfComma(variable.name, emit);
		return variable;
	});
}

/** The variables of `--build-env`, and BUILD_LOGLEVEL when a loglevel was asked for and is not among `environment`. Throws USAGE. */
export function readBuildVariables(
	texts: readonly string[],
	loglevel: string | undefined,
	environment: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
	const variables = texts.map((text) => parseAssignment(text, '--build-env'));
	const isSet = [...environment, ...variables].some(({ name }) => name === 'BUILD_LOGLEVEL');
	return loglevel === undefined || isSet ? variables : [...variables, { name: 'BUILD_LOGLEVEL', value: loglevel }];
}

/** The labels of `--label`. Throws USAGE. */
export function readLabels(texts: readonly string[]): readonly EnvironmentVariable[] {
	return texts.map((text) => parseAssignment(text, '--label'));
}

function warnOfComma(name: string, emit: Emit): void {
	const message = `--env ${name}: the value is kept whole; several variables in one --env, separated by commas, are deprecated: give --env for each`;
	emit({ type: 'warning', code: 'DEPRECATED', message });
}
