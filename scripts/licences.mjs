// What others allow us to pass on: the licences of npm packages, as these say them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENCE = /^(?:licen[cs]e|copying|notice)(?:[.-]|$)/i;
const PACKAGE = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

/** The directories of the npm packages that the modules with these paths belong to, without our own. */
export function packagesOf(modules) {
	return [...new Set(modules.flatMap((path) => path.match(PACKAGE) ?? []))];
}

/** Name, version and licence texts of each package, by name. Throws for a package that has no text and no name of a licence. */
export function licencesOf(directories) {
	const texts = directories.map((directory) => {
		const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
		const files = readdirSync(directory).filter((file) => LICENCE.test(file));
		if (files.length === 0 && typeof license !== 'string') throw new Error(`${name} does not say its licence`);
		const whole = files.sort().map((file) => readFileSync(join(directory, file), 'utf8').trim());
		return [`${name} ${version}${typeof license === 'string' ? ` (${license})` : ''}`, ...whole].join('\n\n');
	});
	return texts
		.sort()
		.map((text) => `${'='.repeat(80)}\n${text}\n\n`)
		.join('');
}
