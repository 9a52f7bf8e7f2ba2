import { randomBytes } from 'node:crypto';
import { chmod, lstat, rename, rm, writeFile } from 'node:fs/promises';
import type { BuildOutcome, BuildResult } from '../build/result.js';
import { BuildError, errnoOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import type { OutputArguments } from './output-options.js';
import type { Ended } from './with-report.js';

/** How a build ended, once the files that tell of it are written. */
export async function conclude(outcome: BuildOutcome, args: OutputArguments): Promise<Ended> {
	const { result } = outcome;
	const error = await writeFiles(outcome, args);
	return error === undefined ? { status: 0, result, line: imageName(result) } : { status: undefined, result, error };
}

/** Writes the files that tell of `outcome`; resolves with its own error, else with that of writing them. */
export async function writeFiles({ result, error }: BuildOutcome, args: OutputArguments): Promise<unknown> {
	const { resultFile = '', digestFile = '' } = args;
	try {
		if (resultFile !== '') await write(resultFile, `${JSON.stringify(result, undefined, '\t')}\n`);
		if (digestFile !== '' && result.digest !== undefined) await write(digestFile, result.digest);
		return error;
	} catch (failed) {
		return error ?? failed;
	}
}

async function write(path: string, text: string): Promise<void> {
	await replace(path, text).catch((cause: unknown) => {
		const why = errnoOf(cause) ?? 'unknown error';
		const refused = new BuildError('OUTPUT_FAILED', `${JSON.stringify(path)} cannot be written: ${why}`, {
			hint: 'The image itself is complete. Check that the directory exists and may be written.',
			cause,
		});
		throw noSpace(cause, JSON.stringify(path), 'name a file elsewhere; the image itself is complete') ?? refused;
	});
}

/** Nobody sees half a file. What is no file, or another user's, is written to as it is, and so is what its directory does not let go. */
async function replace(path: string, text: string): Promise<void> {
	const found = await lstat(path).catch(() => undefined);
	const isOurs = found === undefined || (found.isFile() && found.uid === process.getuid?.());
	if (!isOurs || !(await renameInto(path, text, found?.mode))) await writeFile(path, text);
}

/** Whether it could be done; nothing is left behind. */
async function renameInto(path: string, text: string, mode: number | undefined): Promise<boolean> {
	const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
	try {
		await writeFile(partial, text, { flag: 'wx' });
		if (mode !== undefined) await chmod(partial, mode & 0o777);
		await rename(partial, path);
		return true;
	} catch {
		await rm(partial, { force: true });
		return false;
	}
}

function imageName({ name, digest }: BuildResult): string {
	return name === undefined ? String(digest) : `${name}@${String(digest)}`;
}
