import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, messageOf } from '../../errors.js';
import { redact } from '../../redact.js';
import {
	type Doubt,
	type EnvironmentVariable,
	mergeEnvironment,
	parseEnvironmentFile,
	parseEnvironmentOption,
} from '../../s2i/environment.js';
import { readSmallFile } from '../../small-file.js';
import type { Emit } from '../events.js';
import type { VariablesRequest } from '../request.js';

const MAX_FILE = 1024 * 1024;

/**
 * What the build adds to the image's ENV: `.s2i/environment` of the source in `directory`, then `-e`, then `-E`, later ones winning.
 * `emit`, given by one of those who read it, is told what of the files looks wrong. Throws SOURCE_INVALID for the first, USAGE for a file
 * of `-E` that cannot be read.
 */
export async function readEnvironment(
	directory: string | undefined,
	variables: VariablesRequest,
	emit: Emit = () => undefined,
): Promise<readonly EnvironmentVariable[]> {
	const doubt = (message: string) => emit({ type: 'warning', code: 'ENVIRONMENT', message: redact(message) });
	return mergeEnvironment(await readSourceEnvironment(directory, doubt), await readOptionEnvironment(variables, doubt));
}

/** `-e`, then `-E`, merged: what `rebuild` has to be told. Throws USAGE for a file that cannot be read. */
export async function readOptionEnvironment(
	{ environment, environmentFile, environmentText }: VariablesRequest,
	doubt?: Doubt,
): Promise<readonly EnvironmentVariable[]> {
	if (environmentFile === undefined) return mergeEnvironment(environment);
	const text = environmentText ?? (await readEnvironmentFile(environmentFile));
	return mergeEnvironment(environment, parseEnvironmentOption(text, redact(environmentFile), doubt));
}

async function readEnvironmentFile(path: string): Promise<string> {
	const name = redact(path);
	const bytes = await readSmallFile(path, MAX_FILE).catch((cause: unknown) => {
		throw new BuildError('USAGE', `the environment file ${name} cannot be read: ${redact(messageOf(cause))}`, {
			hint: 'Give --environment-file a readable file of NAME=VALUE lines, at most 1 MiB.',
			cause,
		});
	});
	return bytes.toString('utf8');
}

async function readSourceEnvironment(
	directory: string | undefined,
	doubt: Doubt,
): Promise<readonly EnvironmentVariable[]> {
	if (directory === undefined) return [];
	const path = join(directory, '.s2i', 'environment');
	const stats = await lstat(path).catch(() => undefined);
	if (stats?.isFile() !== true) return [];
	if (stats.size > MAX_FILE) {
		throw new BuildError('SOURCE_INVALID', 'the file .s2i/environment of the source is larger than 1 MiB', {
			hint: 'It holds NAME=VALUE lines; move data into files of their own.',
		});
	}
	return parseEnvironmentFile((await readSmallFile(path, MAX_FILE)).toString('utf8'), doubt);
}
