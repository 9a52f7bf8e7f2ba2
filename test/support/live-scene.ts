import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { layerMediaType } from '../../src/oci/media-types.js';
import { build, type Finished } from './build.js';
import { removeTree } from './fs.js';
import { makeWorkspace } from './host.js';
import { type Job, type JobOptions, type JobUser, openJob } from './job.js';
import type { Faults, TestRegistry } from './registry.js';
import { tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from './tar.js';
import { type EncodedImage, emptyRegistry, encodeImage, publish, tinyParts } from './tiny.js';

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const mode = 0o664;
/** Base files that any user of group 0 may change. */
const PLAYGROUND = tarOf([
	tarDirectory('srv', { mode: 0o775 }),
	tarDirectory('srv/kept', { mode: 0o775 }),
	tarFile('srv/kept/appended', 'base\n', { mode, mtime: 1000 }),
	tarFile('srv/kept/rewritten', 'same\n', { mode, uid: 1001, mtime: 1000 }),
	tarFile('srv/kept/replaced', 'old\n', { mode, mtime: 1000 }),
	tarFile('srv/kept/moved', 'moved\n', { mode: 0o640, uid: 70, mtime: 1000 }),
	tarFile('srv/kept/deleted', 'deleted\n', { mode }),
	tarSymlink('srv/kept/link', 'appended'),
	tarSymlink('srv/kept/turned', 'deleted'),
	tarFile('srv/kept/first', 'linked\n', { mode }),
	tarHardLink('srv/kept/second', 'srv/kept/first'),
	tarDirectory('srv/gone', { mode: 0o775 }),
	tarDirectory('srv/gone/deep', { mode: 0o775 }),
	tarFile('srv/gone/deep/file', 'x'),
	tarDirectory('srv/private', { mode: 0o700 }),
	tarFile('srv/private/file', 'private\n', { mode: 0o600 }),
	tarDirectory('etc'),
	tarFile('etc/os-release', 'NAME="Tiny"\n'),
]);

/** The tiny builder with the playground, in a layout and in a registry. */
function makeBuilder(registry: TestRegistry): string {
	const { tars, config } = tinyParts();
	const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
	const image = encodeImage({ tars: [...tars, PLAYGROUND], config }, gzip);
	publish(registry, image);
	const layout = mkdtempSync(join(tmpdir(), 's2oci-job-'));
	onTestFinished(() => removeTree(layout));
	writeLayout(layout, image);
	return layout;
}

function writeLayout(layout: string, { manifest, mediaType, blobs }: EncodedImage): void {
	const digest = digestOf(manifest);
	for (const [name, bytes] of [...blobs, [digest, manifest] as const]) {
		const path = join(layout, 'blobs', name.replace(':', '/'));
		mkdirSync(dirname(path), { recursive: true });
		writeFileSync(path, bytes);
	}
	const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
	const entry = { mediaType, digest, size: manifest.length, annotations };
	writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
	writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
	execFileSync('chmod', ['-R', 'a+rX', layout]);
}

/** A builder in a registry, and a job that runs it. */
export interface Scene {
	readonly registry: TestRegistry;
	readonly layout: string;
	readonly job: Job;
	/** Builds `source` in the job, with the source among what it sees. */
	readonly build: (source: string, more?: readonly string[], options?: JobOptions) => Promise<Finished>;
	readonly words: (source: string) => readonly string[];
}

/** A job whose store is in its own root filesystem. */
export async function openScene(
	faults: Faults = {},
	user?: JobUser,
	store: string | undefined = '/tmp/store',
): Promise<Scene> {
	const registry = await emptyRegistry(faults);
	const layout = makeBuilder(registry);
	return sceneOf(registry, layout, store, user);
}

/** Another job of the same builder; `store` is the job's, on a mount when it is a directory of the host, its default when empty. */
export function sceneOf(registry: TestRegistry, layout: string, store: string, user?: JobUser): Scene {
	const job = openJob(layout, user);
	const words = (source: string) => [
		...['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy'],
		...['--result-file', join(job.workspace.home, 'result.json')],
		...(store === '' ? [] : ['--store', store]),
	];
	const shared = store !== '' && existsSync(store) ? `bind ${store}` : '';
	return {
		...{ registry, layout, job, words },
		build: (source, more = [], options = {}) => {
			const setup = `${options.setup ?? ''}\nbind ${source}\n${shared}`;
			return job.run([...words(source), ...more], { env, ...options, setup });
		},
	};
}

/** What the best rung of this host makes of the same source, builder and names. */
export async function elsewhere({ registry }: Scene, source: string, more: readonly string[] = []): Promise<string> {
	const args = [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy', ...more];
	const { result } = await build(makeWorkspace(), args, { env });
	return `${String(result.layer?.diffId)} ${String(result.digest)}`;
}
