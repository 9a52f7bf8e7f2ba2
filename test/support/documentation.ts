import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The YAML that `page` of docs has under `heading`; replaces, and wants to find, what the readers have to name themselves. */
export function exampleOf(page: string, heading: string, replaced: Readonly<Record<string, string>> = {}): string {
	const text = readFileSync(join(import.meta.dirname, '../../docs', page), 'utf8');
	const section = new RegExp(`^#+ ${heading}\n([^]*?)(?=^#+ |$(?![^]))`, 'm').exec(text)?.[1] ?? '';
	const yaml = /^```yaml\n([^]*?)^```$/m.exec(section)?.[1];
	if (yaml === undefined) throw new Error(`${page} has no example under ${heading}`);
	return Object.entries(replaced).reduce((example, [from, to]) => {
		if (!example.includes(from)) throw new Error(`the example under ${heading} of ${page} has no ${from}`);
		return example.replaceAll(from, to);
	}, yaml);
}
