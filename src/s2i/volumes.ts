import { posix } from 'node:path';
import { BuildError, isBuildError } from '../errors.js';
import { redact } from '../redact.js';
import { ASSEMBLE_INPUT_FILES } from './contract.js';

/** Something of the host, or of the builder image for runtime artifacts, and where the container has it. */
export interface PathPair {
	/** Absolute. */
	readonly source: string;
	/** Absolute, relative to WORKDIR, or `''` for WORKDIR itself. */
	readonly destination: string;
}

const FORBIDDEN = /[;*?"<>|%#$!+{}&[\],'`]/;
const KERNEL = /^\/(?:proc|sys|dev)(?:\/|$)/;

/**
 * The `SRC[:DST]` of `-i`, several separated by `;`, as S2I reads it: split at the last colon, surrounding quotes removed, both parts
 * cleaned. `absolute` makes `SRC` absolute. Throws USAGE for characters that S2I refuses and for destinations outside the image.
 */
export function parseInjections(text: string, absolute: (path: string) => string): readonly PathPair[] {
	return splitPairs('--inject', text).map(({ source, destination }) => {
		checkDestination('--inject', destination);
		return { source: absolute(source), destination };
	});
}

/**
 * The `SRC[:DST]` of `-a`, several separated by `;`: `SRC` is absolute in the builder, `DST` a directory below the runtime image's
 * WORKDIR. Throws USAGE.
 */
export function parseArtifacts(text: string): readonly PathPair[] {
	return splitPairs('--runtime-artifact', text).map((pair) => {
		if (!pair.source.startsWith('/')) {
			throw invalid('--runtime-artifact', `${quote(pair.source)} is not an absolute path of the builder image`);
		}
		if (pair.destination.startsWith('/') || /^\.\.(?:\/|$)/.test(pair.destination)) {
			throw invalid(
				'--runtime-artifact',
				`${quote(pair.destination)} does not lie below the working directory of the runtime image`,
			);
		}
		return pair;
	});
}

/**
 * The `SRC:DST[:OPTIONS]` of `-v`. `absolute` makes `SRC` absolute, `DST` is absolute, options are `ro`, `rw`, and `z` and `Z`, which are for
 * SELinux hosts with a daemon and do nothing here. Throws USAGE.
 */
export function parseVolume(
	text: string,
	absolute: (path: string) => string,
): PathPair & { readonly readOnly: boolean } {
	const [source = '', destination = '', options = '', ...rest] = text.split(':');
	if (source === '' || destination === '' || rest.length > 0 || text.includes('\0')) {
		throw invalid('--volume', `${quote(text)} is not SOURCE:DESTINATION[:OPTIONS]`);
	}
	if (!destination.startsWith('/')) throw invalid('--volume', `the destination ${quote(destination)} is not absolute`);
	const chosen = options === '' ? [] : options.split(',');
	const unknown = chosen.find((option) => !['ro', 'rw', 'z', 'Z'].includes(option));
	if (unknown !== undefined) {
		throw invalid('--volume', `there is no option ${quote(unknown)}`, 'Options are ro, rw, z and Z.');
	}
	const cleaned = clean(destination);
	checkDestination('--volume', cleaned);
	return { source: absolute(source), destination: cleaned, readOnly: chosen.includes('ro') };
}

function splitPairs(option: string, text: string): readonly PathPair[] {
	return text.split(';').map((part) => {
		const at = part.lastIndexOf(':');
		const [source = '', destination = ''] = (at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]).map(
			(path) => clean(path.replace(/^["']+|["']+$/g, '')),
		);
		const bad = [source, destination].find((path) => FORBIDDEN.test(path) || path.includes('\0'));
		if (bad === undefined) return { source, destination: destination === '.' ? '' : destination };
		throw invalid(
			option,
			`invalid characters in the path ${quote(bad)}`,
			'S2I refuses ; * ? " < > | % # $ ! + { } & [ ] , \' and `.',
		);
	});
}

function checkDestination(option: string, destination: string): void {
	if (/^\.\.(?:\/|$)/.test(destination)) {
		throw invalid(
			option,
			`the destination ${quote(destination)} leaves the working directory`,
			'Give an absolute path.',
		);
	}
	if (destination === '/' || KERNEL.test(destination)) {
		throw invalid(option, `nothing can be put at ${quote(destination)}`, 'Give a path outside /proc, /sys and /dev.');
	}
}

/** As Go's filepath.Clean: no trailing slash, `.` for nothing. */
function clean(path: string): string {
	const normal = posix.normalize(path);
	return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function invalid(option: string, why: string, hint = 'See s2oci build --help.'): BuildError {
	return new BuildError('USAGE', `${option}: ${why}`, { hint });
}

function quote(text: string): string {
	return JSON.stringify(redact(text).slice(0, 200));
}

const MAX_ARTIFACTS = 1000;

/**
 * The artifacts that the label `io.openshift.s2i.assemble-input-files` of a runtime image names, with the grammar of
 * `--runtime-artifact`: `SOURCE[:DIRECTORY]` separated by `;`, `''` being WORKDIR, no globs. Throws IMAGE_INVALID.
 */
export function parseInputFiles(text: string): readonly PathPair[] {
	const parts = text.split(';').filter((part) => part.trim() !== '');
	if (parts.length > MAX_ARTIFACTS) throw labelInvalid(`it names more than ${MAX_ARTIFACTS} artifacts`);
	return parts.flatMap((part) => {
		try {
			return parseArtifacts(part.trim());
		} catch (error) {
			throw isBuildError(error, 'USAGE') ? labelInvalid(error.message.replace(/^--[a-z-]+: /, ''), error) : error;
		}
	});
}

/**
 * What a build copies from the builder to the runtime image: what the command line names, else what `label`, its parts, does. Throws
 * IMAGE_INVALID for a label that makes no sense, USAGE when there is nothing to copy.
 */
export function chooseArtifacts(option: readonly PathPair[], label: readonly string[]): readonly PathPair[] {
	const artifacts = option.length > 0 ? option : parseInputFiles(label.join(';'));
	if (artifacts.length > 0) return artifacts;
	throw new BuildError('USAGE', 'nothing says which files of the builder go into the runtime image', {
		hint: `Name them with --runtime-artifact SOURCE[:DIRECTORY], or use a runtime image with the label ${ASSEMBLE_INPUT_FILES}.`,
	});
}

function labelInvalid(problem: string, cause?: unknown): BuildError {
	const message = `the label ${ASSEMBLE_INPUT_FILES} of the runtime image is not valid: ${problem}`;
	return new BuildError('IMAGE_INVALID', message, {
		hint: 'Name the artifacts with --runtime-artifact SOURCE[:DIRECTORY] instead, or ask for the label to be fixed.',
		cause,
	});
}
