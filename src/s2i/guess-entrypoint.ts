/** A file of the source's root directory. */
export interface RootFile {
	readonly name: string;
	/** A regular file that somebody may execute. */
	readonly executable: boolean;
}

const NAMES = /^(?:run|start|exec|execute)(?:\.sh)?$/;

/**
 * The file that an ONBUILD image without run script starts, as S2I guesses it: the first executable one, in byte order, that is
 * called run, start, exec or execute, with or without `.sh`. Undefined when there is none.
 */
export function guessEntrypoint(files: readonly RootFile[]): string | undefined {
	const names = files.flatMap(({ name, executable }) => (executable && NAMES.test(name) ? [name] : []));
	return names.sort()[0];
}
