import { basename } from 'node:path';
import type { CommandIo } from './io.js';
import type { ProgramName } from './words.js';

/** The name under which s2oci was called: `S2OCI_NAME`, else the name of the program or of the link to it. */
export function programName({ argv, env }: Pick<CommandIo, 'argv' | 'env'>): ProgramName {
	const name = env['S2OCI_NAME'] ?? basename(argv?.[1] ?? '').replace(/\.js$/, '');
	return name === 's2i' || name === 'sti' ? name : 's2oci';
}
