// A registry on loopback and the builders in it.
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { CREATED, writeImage } from '../scripts/layout/image.mjs';
import { END_OF_ARCHIVE, packEntry } from '../scripts/layout/tar.mjs';
import { atEnd } from './cleanup.mjs';
import { generateFiles } from './content.mjs';
import { removeTree } from './disk.mjs';

/** The builders by name: `kind` is one of scripts/make-builder, to which `entries` more are added in `layers` layers. */
export const BUILDERS = {
	node: { kind: 'node' },
	tiny: { kind: 'tiny' },
	20000: { kind: 'tiny', entries: 20_000, layers: 4 },
	50000: { kind: 'tiny', entries: 50_000, layers: 4 },
	200000: { kind: 'tiny', entries: 200_000, layers: 4 },
	'1-layer': { kind: 'tiny', entries: 50_000, layers: 1 },
	'2-layers': { kind: 'tiny', entries: 50_000, layers: 2 },
	'8-layers': { kind: 'tiny', entries: 50_000, layers: 8 },
	'1-layer-zstd': { kind: 'tiny', entries: 50_000, layers: 1, compression: 'zstd' },
	'8-layers-zstd': { kind: 'tiny', entries: 50_000, layers: 8, compression: 'zstd' },
};

/** `{ host, builder(name) }`: `builder` pushes what is missing and gives `{ repository, layout, layers, blobs }`. */
export function openRegistry(checkout, scratch) {
	const directory = join(scratch, 'registry');
	const script = (...words) => execFileSync(join(checkout, 'scripts/registry'), [...words, '--dir', directory]);
	atEnd(() => script('stop'));
	const host = script('start').toString().trim();
	const ready = new Map();
	const builder = (name) => {
		if (!ready.has(name)) ready.set(name, pushBuilder({ checkout, scratch, directory, host }, name));
		return ready.get(name);
	};
	return { host, builder };
}

async function pushBuilder({ checkout, scratch, directory, host }, name) {
	const { kind, entries, layers, compression } = BUILDERS[name];
	const layout = join(scratch, `builder-${name}`);
	process.stderr.write(`making the builder ${name}\n`);
	const base = entries === undefined ? layout : join(scratch, `base-${name}`);
	execFileSync(join(checkout, 'scripts/make-builder'), [`--${kind}`, base], { stdio: ['ignore', 'ignore', 'inherit'] });
	if (entries !== undefined) {
		await extend(base, layout, entries, layers);
		removeTree(base);
	}
	const repository = `builder/${name}`;
	const zstd = compression === undefined ? [] : ['--format', 'oci', '--dest-compress-format', compression];
	const target = `docker://${host}/${repository}:latest`;
	execFileSync('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', ...zstd, `oci:${layout}:latest`, target]);
	return { repository, layout, ...(await contentOf(host, repository, directory)) };
}

/** What the registry serves for it: the digests of its layers, and the files that these are in. */
async function contentOf(host, repository, directory) {
	const accept = 'application/vnd.oci.image.manifest.v1+json';
	const answer = await fetch(`http://${host}/v2/${repository}/manifests/latest`, { headers: { accept } });
	if (!answer.ok)
		throw new Error(`the registry answers ${answer.status} for ${repository}; see its log in ${directory}`);
	const layers = (await answer.json()).layers.map(({ digest }) => digest);
	const blobs = layers.map((digest) => {
		const hex = digest.slice('sha256:'.length);
		return join(directory, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
	});
	return { layers, blobs };
}

/** The image in `base` with `entries` files and directories more, in `count` layers. */
async function extend(base, layout, entries, count) {
	mkdirSync(layout);
	const read = (digest) => readFileSync(blobPath(base, digest), 'utf8');
	const index = JSON.parse(readFileSync(join(base, 'index.json'), 'utf8'));
	const manifest = JSON.parse(read(index.manifests[0].digest));
	const { config } = JSON.parse(read(manifest.config.digest));
	const below = manifest.layers.map(({ digest }) => ({
		comment: 'base',
		tar: createReadStream(blobPath(base, digest)).pipe(createGunzip()),
	}));
	const above = Array.from({ length: count }, (_, number) => ({
		comment: `files ${number}`,
		tar: packLayer(number, Math.round(entries / count)),
	}));
	await writeImage(layout, { config, layers: [...below, ...above] });
}

/** 25 of 26 entries are files. */
function* packLayer(number, entries) {
	const mtime = CREATED.getTime() / 1000;
	const parent = `usr/lib/part-${number}`;
	for (const name of ['usr', 'usr/lib', parent]) yield packEntry({ name, type: '5', mode: 0o755, mtime });
	const count = Math.round((entries * 25) / 26);
	for (const entry of generateFiles({ parent, count, least: 100, most: 8000, seed: number + 1 })) {
		yield packEntry({ ...entry, mtime });
	}
	yield END_OF_ARCHIVE;
}

const blobPath = (directory, digest) => join(directory, 'blobs', digest.replace(':', '/'));
