import { BuildError } from '../errors.js';

/** bwrap takes 9,000 words, and three for each variable. */
const MAX_VARIABLES = 2000;
/** A quarter of the stack, which by default is 8 MiB, is all that execve(2) takes; arguments and what scripts add need room too. */
const MAX_BYTES = 1024 * 1024;
/** MAX_ARG_STRLEN of execve(2): for NAME=VALUE with the NUL behind it. */
const MAX_ONE = 128 * 1024 - 1;

/**
 * Refuses an environment that no process could be started with, or with which a shell takes minutes: more than 2,000 variables, 1 MiB of
 * them, or 128 KiB in one. `whose` says where it comes from. Throws IMAGE_UNSUPPORTED for an image's own, USAGE for what the build adds
 * to it.
 */
export function checkEnvironmentSize(env: Readonly<Record<string, string>>, whose: 'image' | 'build'): void {
	const variables = Object.entries(env).map(([name, value]) => ({
		name,
		bytes: Buffer.byteLength(`${name}=${value}`),
	}));
	const bytes = variables.reduce((sum, each) => sum + each.bytes + 1, 0);
	const large = variables.find((each) => each.bytes > MAX_ONE);
	if (variables.length > MAX_VARIABLES)
		throw tooLarge(whose, `has ${variables.length} variables, more than ${MAX_VARIABLES}`);
	if (large !== undefined)
		throw tooLarge(
			whose,
			`has ${large.bytes} bytes in ${JSON.stringify(large.name.slice(0, 100))}, more than ${MAX_ONE}`,
		);
	if (bytes > MAX_BYTES) throw tooLarge(whose, `has ${bytes} bytes, more than ${MAX_BYTES}`);
}

function tooLarge(whose: 'image' | 'build', what: string): BuildError {
	if (whose === 'image')
		return new BuildError(
			'IMAGE_UNSUPPORTED',
			`the environment of the image ${what}, so no program can be started in it`,
			{
				hint: 'Build the image again with less in its ENV.',
			},
		);
	return new BuildError('USAGE', `the environment of the build ${what}, so no program can be started with it`, {
		hint: 'Give less with -e, -E, --build-env and .s2i/environment: large values belong into a file of the source, or into a --secret.',
	});
}
