import { access, chmod, lstat, mkdir, readFile, realpath, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import type { Contract } from '../s2i/contract.js';
import { type EnvironmentVariable, mergeEnvironment, parseEnvironmentFile } from '../s2i/environment.js';
import { resolveScripts, type Script, type Scripts, scriptMissing, scriptPaths } from '../s2i/scripts.js';
import { resolveUser, type User } from '../s2i/users.js';
import type { Inspected } from '../worker/protocol.js';
import type { WorkerProcess } from '../worker/start.js';

const SCRIPT_LIMIT = 1 << 20;
/** Where assemble finds the certificate authorities of the host; never part of the image. */
export const CA_BUNDLE_PATH = '/run/s2oci/ca-bundle.crt';

/** The scripts of the source in `directory` that override those of the builder image. */
export async function findSourceScripts(directory: string): Promise<readonly string[]> {
	const found = await Promise.all(
		scriptPaths().map(async (path) => {
			const stats = await lstat(join(directory, path)).catch(() => undefined);
			return stats?.isFile() === true ? [path] : [];
		}),
	);
	return found.flat();
}

/** `.s2i/environment` of the source, then `-e`, later ones winning. */
export async function readBuildEnvironment(
	directory: string,
	options: readonly EnvironmentVariable[],
): Promise<readonly EnvironmentVariable[]> {
	const path = join(directory, '.s2i', 'environment');
	const stats = await lstat(path).catch(() => undefined);
	if (stats?.isFile() !== true) return mergeEnvironment(options);
	if (stats.size > SCRIPT_LIMIT) {
		throw new BuildError('SOURCE_INVALID', 'the file .s2i/environment of the source is larger than 1 MiB', {
			hint: 'It holds NAME=VALUE lines; move data into files of their own.',
		});
	}
	return mergeEnvironment(parseEnvironmentFile(await readFile(path, 'utf8')), options);
}

/** Moves the scripts that the source brings into `directory`, executable. False when it brings none. */
export async function takeSourceScripts(scripts: Scripts, source: string, directory: string): Promise<boolean> {
	const own = [scripts.assemble, scripts.run, scripts.saveArtifacts].flatMap((script) =>
		script?.from === 'source' ? [script] : [],
	);
	if (own.length === 0) return false;
	await mkdir(directory, { mode: 0o755 });
	for (const script of own) {
		await rename(join(source, script.sourcePath), join(directory, script.name));
		await chmod(join(directory, script.name), 0o755);
	}
	return true;
}

/** The builder image as seen from inside: the users its passwd names, and its scripts, verified to be there and executable. */
export async function inspectBuilder(
	worker: WorkerProcess,
	contract: Contract,
	present: readonly string[],
): Promise<{ readonly scripts: Scripts; readonly assembleUser: User }> {
	const scripts = resolveScripts(present, contract);
	const inImage = [scripts.assemble, scripts.run].filter((script) => script.from === 'image');
	const read = ['/etc/passwd', '/etc/group'];
	const { found } = await worker.call('inspect', { stat: inImage.map((script) => script.path), read });
	const look = (path: string) => found.find((each) => each.path === path);
	for (const script of inImage) checkScript(script, look(script.path), contract);
	const [passwd, group] = read.map((path) => look(path)?.text ?? '');
	return { scripts, assembleUser: resolveUser(contract.assembleUser, passwd ?? '', group ?? '') };
}

/** The files of the host that a process is shown: name resolution works inside as outside, and so does TLS. */
export async function hostFiles(
	caBundle: string | undefined,
): Promise<readonly { readonly source: string; readonly destination: string }[]> {
	const wanted = [
		{ source: '/etc/resolv.conf', destination: '/etc/resolv.conf' },
		{ source: '/etc/hosts', destination: '/etc/hosts' },
		...(caBundle === undefined ? [] : [{ source: caBundle, destination: CA_BUNDLE_PATH }]),
	];
	const there = await Promise.all(
		wanted.map(async (file) => {
			const source = await realpath(file.source).catch(() => undefined);
			const readable =
				source !== undefined &&
				(await access(source).then(
					() => true,
					() => false,
				));
			return readable ? [{ ...file, source }] : [];
		}),
	);
	return there.flat();
}

function checkScript(script: Script, found: Inspected | undefined, contract: Contract): void {
	if (found?.type !== 'file') throw scriptMissing(script.name, contract);
	if ((found.mode & 0o111) !== 0) return;
	throw new BuildError('SCRIPT_MISSING', `${script.path} of the builder image is not executable`, {
		hint: `Ask for chmod +x ${script.path} in the builder image, or add .s2i/bin/${script.name} to the source.`,
	});
}
