import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { BuildError, messageOf } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { redact } from '../redact.js';
import { ARCHITECTURES } from '../sandbox/bpf.js';
import type { Limits } from '../sandbox/limits.js';
import { readProfile } from '../sandbox/read-profile.js';
import type { ReadAll } from './options.js';
import { impossible } from './values.js';

const OPTION = '--security-opt';
const MAX_BYTES = 1024 * 1024;
/** What engines do on demand and every sandbox here does anyway, and in which words. */
const ALREADY = /^(?:no-new-privileges(?:[=:]true)?|apparmor[=:]unconfined|label[=:]disable)$/;
const HINT =
	'There are seccomp=unconfined, seccomp=FILE with a profile as Docker and Podman have it, and no-new-privileges, which is always so.';

/**
 * The filter that options in the words of Docker and Podman ask for; the last one counts. What they say and is so anyway is a notice.
 * Throws USAGE for all else, and for a file that is no profile.
 */
export const readSecurityOptions: ReadAll<Limits['seccomp']> = (options, _name, { emit }) => {
	let seccomp: Limits['seccomp'] = 'default';
	for (const option of options) {
		const [, profile] = /^seccomp[=:](.+)$/s.exec(option) ?? [];
		if (profile !== undefined) seccomp = readSeccomp(profile);
		else if (ALREADY.test(option)) {
			emit({ type: 'log', level: 1, message: `${OPTION} ${option} changes nothing: it is so in every sandbox` });
		} else throw impossible(OPTION, option, HINT);
	}
	return seccomp;
};

function readSeccomp(profile: string): Limits['seccomp'] {
	if (profile === 'unconfined') return profile;
	if (profile === 'default' || profile === 'builtin') return 'default';
	const path = absolutePath(profile);
	try {
		return readProfile(readSmallFile(path), ARCHITECTURES[process.arch]?.[0]?.name ?? '');
	} catch (error) {
		const reason = messageOf(error).split('\n')[0] ?? '';
		throw new BuildError('USAGE', redact(`${OPTION} seccomp=${path}: ${reason}`), {
			hint: 'Give a JSON file such as the default profile of Docker or Podman, or unconfined.',
		});
	}
}

function readSmallFile(path: string): string {
	const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
	try {
		const stats = fstatSync(fd);
		if (!stats.isFile()) throw new Error('it is no file');
		if (stats.size > MAX_BYTES) throw new Error('it is larger than 1 MiB');
		return readFileSync(fd, 'utf8');
	} finally {
		closeSync(fd);
	}
}
