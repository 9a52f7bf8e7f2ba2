import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCgroups, findUnified } from '../../../src/worker/cgroup-place.js';
import { listDirectory } from '../../support/host.js';

const places = [readFileSync('/proc/self/cgroup', 'utf8'), readFileSync('/proc/self/mountinfo', 'utf8')] as const;
const groups = findCgroups(...places);
const unified = findUnified(...places);

/** Why groups with `controller` cannot be tested here; undefined when they can. */
export function lackingControllers(controller: 'memory' | 'cpu' | 'pids'): string | undefined {
	if (process.getuid?.() !== 0) return 'only root can make control groups here';
	return groups.get(controller)?.version === 1 ? undefined : `version 1 of control groups has no ${controller} here`;
}

/** The programs that run in a group of ours whose `file` has `value`, by their names. */
export function programsIn(controller: 'memory' | 'cpu' | 'pids', file: string, value: string): readonly string[] {
	const { own } = groups.get(controller) ?? {};
	const all = own === undefined ? [] : listDirectory(own).filter((name) => name.startsWith('s2oci-'));
	return all.flatMap((name) => {
		try {
			const read = (each: string) => readFileSync(join(own ?? '', name, each), 'utf8').trim();
			if (read(file) !== value) return [];
			return read('cgroup.procs')
				.split('\n')
				.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
		} catch {
			// It ended between two looks.
			return [];
		}
	});
}

/** The groups that the build with this scratch directory has left. */
export function leftGroups(build: string): readonly string[] {
	return [...groups.values(), ...(unified === undefined ? [] : [unified])].flatMap(({ own }) =>
		listDirectory(own)
			.filter((name) => name.startsWith(`s2oci-${build}-`))
			.map((name) => join(own, name)),
	);
}
