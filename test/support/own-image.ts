import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The images of s2oci, as OCI layouts with the tag `1`. */
export interface OwnImages {
	readonly job: string;
	readonly volume: string;
	/** What scripts/package has printed. */
	readonly printed: string;
}

/** What makes them. */
export const PACKAGE: string = fileURLToPath(new URL('../../scripts/package', import.meta.url));

/** The words for scripts/package to make both, as the layouts `job` and `volume`. */
export function packageWords(job: string, volume: string): readonly string[] {
	return ['--image', `oci:${job}:1`, '--volume-image', `oci:${volume}:1`];
}

const MAKE = 'test -e "$1" || { shift && "$@" >"$0.partial" && mv "$0.partial" "$0"; }';

/** Both images, which are made for the first test of a run that asks for them; others wait. Takes minutes. */
export function ownImages(): OwnImages {
	const directory = process.env['S2OCI_TEST_OWN_IMAGES'] ?? '';
	const at = (name: string) => join(directory, name);
	const [job, volume, printed] = [at('job'), at('volume'), at('printed')];
	chmodSync(directory, 0o755);
	const words = ['sh', '-c', MAKE, printed, printed, PACKAGE, ...packageWords(job, volume)];
	execFileSync('flock', [at('lock'), ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
	return { job, volume, printed: readFileSync(printed, 'utf8') };
}
