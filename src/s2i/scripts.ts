import { BuildError, isBuildError } from '../errors.js';
import { parseImageScriptsUrl, type ScriptAddress, type ScriptsUrl, scriptAt } from './script-url.js';

const DIRECTORIES = ['.s2i/bin', '.sti/bin'] as const;

/** The scripts of the S2I contract. */
export type ScriptName = 'assemble' | 'run' | 'save-artifacts' | 'usage' | 'assemble-runtime';

/** Every {@link ScriptName}. */
export const SCRIPT_NAMES: readonly ScriptName[] = ['assemble', 'run', 'save-artifacts', 'usage', 'assemble-runtime'];

/** One place at which a script may be; `text` names it in messages, without secrets. */
export type ScriptPlace = (
	| { readonly kind: 'source'; readonly path: string; readonly deprecated: boolean }
	| ScriptAddress
	/** A label that must not be followed: an error when nothing before it has the script. */
	| { readonly kind: 'refused'; readonly error: BuildError }
) & {
	readonly text: string;
	/** Whether `--scripts-url` names it. */
	readonly given: boolean;
};

/** What decides where scripts are looked for. */
export interface ScriptOrigins {
	/** Of `--scripts-url`. */
	readonly given: ScriptsUrl | undefined;
	/** Whether there is a source. */
	readonly source: boolean;
	/** The image's own, as its label or variable has it. */
	readonly image: string | undefined;
}

/**
 * Where the script `name` may be, the first that has it wins (S2I's order): `--scripts-url`, `.s2i/bin` of the source, `.sti/bin`,
 * the image's scripts URL. Each script is looked for on its own.
 */
export function scriptPlaces(name: ScriptName, { given, source, image }: ScriptOrigins): readonly ScriptPlace[] {
	const inSource = source
		? DIRECTORIES.map((directory) => ({
				kind: 'source' as const,
				path: `${directory}/${name}`,
				deprecated: directory === '.sti/bin',
				text: `${directory}/${name} in the source`,
				given: false,
			}))
		: [];
	return [
		...(given === undefined ? [] : [{ ...scriptAt(given, name), given: true }]),
		...inSource,
		...(image === undefined ? [] : [imagePlace(name, image)]),
	];
}

function imagePlace(name: ScriptName, url: string): ScriptPlace {
	try {
		return { ...scriptAt(parseImageScriptsUrl(url), name), given: false };
	} catch (error) {
		if (!isBuildError(error)) throw error;
		return { kind: 'refused', error, text: "the image's scripts URL", given: false };
	}
}

/** SCRIPT_MISSING for `name`, saying everywhere it was looked for. */
export function scriptNowhere(name: ScriptName, places: readonly ScriptPlace[]): BuildError {
	const looked = places.length === 0 ? '' : `: looked at ${places.map(({ text }) => text).join(', ')}`;
	const inSource = places.some(({ kind }) => kind === 'source') ? `add .s2i/bin/${name} to the source` : undefined;
	const last = places.at(-1);
	const labelled = last !== undefined && last.kind !== 'source' && !last.given;
	const instead = inSource ?? 'say with --scripts-url where it is';
	return new BuildError('SCRIPT_MISSING', `there is no ${name} script${looked}`, {
		hint: labelled
			? `Use an image that has the script, or ${instead}.`
			: `The image has no label io.openshift.s2i.scripts-url: is it an S2I builder image? Else ${instead}.`,
	});
}

/** What the beginning of a script, its first 512 bytes or fewer, tells about it: `text` has no `#!` line and is for /bin/sh. */
export type ScriptKind = 'interpreted' | 'program' | 'text' | 'html' | 'windows' | 'marked';

/**
 * See {@link ScriptKind}; `windows` is a `#!` line that ends with a carriage return, which the kernel takes for part of the name, `marked`
 * one that the kernel does not see behind a byte order mark.
 */
export function scriptKind(head: Uint8Array): ScriptKind {
	const text = Buffer.from(head.subarray(0, 512)).toString('latin1');
	if (text.startsWith('#!')) return /^[^\n]*\r(?:\n|$)/.test(text) ? 'windows' : 'interpreted';
	if (/^(?:\xef\xbb\xbf#!|\xff\xfe|\xfe\xff)/.test(text)) return 'marked';
	if (text.includes('\0')) return 'program';
	return /^(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml)\b/i.test(text) ? 'html' : 'text';
}
