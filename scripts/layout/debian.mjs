// Splits a Debian root file system (a tar file) into layers by the packages its files belong to:
// node debian.mjs KIND ROOT.tar BUILDER-DIR DEST
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeImage } from './image.mjs';
import { APPLICATION_ROOT, builderConfig, executables, file, PASSWD_ENTRY, packEntries } from './s2i.mjs';
import { END_OF_ARCHIVE, readRange, scanTar } from './tar.mjs';

/** Layers above the base system, each with the packages in it; the last has all that no other has. */
const KINDS = {
	node: {
		name: 'Node.js',
		description: 'Builds and runs Node.js applications',
		layers: [
			['Node.js runtime', /^(?:nodejs|npm|node-|libnode|libjs-|libuv1|libcares|handlebars|webpack|terser|eslint|gyp)/],
			[
				'compilers',
				/^(?:gcc|g\+\+|cpp|binutils|lib(?:gcc|stdc\+\+|asan|tsan|lsan|ubsan|cc1|c6-dev)|linux-libc-dev|make|cmake)/,
			],
			['development tools', /^/],
		],
	},
	python: {
		name: 'Python',
		description: 'Builds and runs Python applications',
		layers: [
			['libraries', /^(?!python3|libpython3)/],
			['Python runtime', /^/],
		],
		entrypoint: ['container-entrypoint'],
		environment: ['APP_VENV=/opt/app-root/venv', 'BASH_ENV=/usr/bin/enable-venv', 'PYTHONUNBUFFERED=1'],
	},
};
const CHUNK = 4 * 1024 * 1024;

const [kind, rootTar, builder, destination] = process.argv.slice(2);
const { name, description, layers: above, entrypoint, environment = [] } = KINDS[kind];
const handle = await open(rootTar);
const entries = (await scanTar(rootTar)).filter(({ name }) => belongs(name));
const byName = new Map(entries.map((entry) => [entry.name, entry]));
const layers = await splitLayers();

const digest = await writeImage(destination, {
	config: configuration(),
	layers: [
		...['base system', ...above.map(([comment]) => comment)].map((comment, index) => ({
			comment,
			tar: copyEntries(layers[index]),
		})),
		{ comment: 's2i scripts', tar: packEntries(await s2i()) },
	],
});
await handle.close();
process.stdout.write(`${digest}\n`);

function configuration() {
	const config = builderConfig({ name, description });
	const more = entrypoint === undefined ? {} : { Entrypoint: entrypoint };
	return { ...config, Env: [...config.Env, ...environment], ...more };
}

/** Device nodes cannot be unpacked without root, and the host's resolver does not belong to an image. */
function belongs(name) {
	return name !== '' && !name.startsWith('dev/') && name !== 'etc/resolv.conf' && name !== 'etc/hostname';
}

async function splitLayers() {
	const owners = await packageOwners();
	const split = [undefined, ...above].map(() => new Set());
	for (const entry of entries) {
		const source = entry.type === '1' ? byName.get(entry.target) : entry;
		const layer = split[owners.get(source.name) ?? 0];
		for (const parent of parents(entry.name)) layer.add(byName.get(parent));
		layer.add(entry);
	}
	return split;
}

/** Path -> index of the layer of the first package that ships it. */
async function packageOwners() {
	const base = await basePackages();
	const owners = new Map();
	for (const entry of entries) {
		const name = /^var\/lib\/dpkg\/info\/([^/:]+)(?::[^/]+)?\.list$/.exec(entry.name)?.[1];
		if (name === undefined) continue;
		const layer = layerOf(name, base);
		for (const line of (await content(entry)).split('\n')) {
			const path = canonical(line.slice(1));
			owners.set(path, Math.min(layer, owners.get(path) ?? layer));
		}
	}
	return owners;
}

async function basePackages() {
	const stanzas = (await content(byName.get('var/lib/dpkg/status'))).split('\n\n');
	const base = stanzas.filter((stanza) => /^(?:Priority: (?:required|important)|Essential: yes)$/m.test(stanza));
	return new Set(base.map((stanza) => /^Package: (.*)$/m.exec(stanza)?.[1]));
}

function layerOf(name, base) {
	return base.has(name) ? 0 : 1 + above.findIndex(([, packages]) => packages.test(name));
}

/** dpkg lists `/bin/bash` where a merged /usr holds `usr/bin/bash`. */
function canonical(path) {
	const [first] = path.split('/', 1);
	const link = byName.get(first);
	return link?.type === '2' ? `${link.target}${path.slice(first.length)}` : path;
}

function* parents(name) {
	for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) yield name.slice(0, slash);
}

async function* copyEntries(layer) {
	for (const { start, end } of adjacent(layer)) {
		for (let offset = start; offset < end; offset += CHUNK) {
			yield await readRange(handle, offset, Math.min(CHUNK, end - offset));
		}
	}
	yield END_OF_ARCHIVE;
}

function* adjacent(layer) {
	let range;
	for (const { start, end } of layer) {
		if (range?.end === start && end - range.start < CHUNK) {
			range.end = end;
			continue;
		}
		if (range !== undefined) yield range;
		range = { start, end };
	}
	if (range !== undefined) yield range;
}

async function content({ data, size }) {
	return (await readRange(handle, data, size)).toString('utf8');
}

async function s2i() {
	const passwd = await content(byName.get('etc/passwd'));
	return [
		...['etc', 'usr', 'usr/bin', 'usr/libexec'].map((name) => ({ name, type: '5', mode: 0o755 })),
		file('etc/passwd', passwd + PASSWD_ENTRY),
		...APPLICATION_ROOT,
		...executables(join(builder, 'bin'), 'usr/bin'),
		{ name: 'usr/libexec/s2i', type: '5', mode: 0o755 },
		...executables(join(builder, 's2i'), 'usr/libexec/s2i'),
	];
}
