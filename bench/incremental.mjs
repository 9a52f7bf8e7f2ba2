// What restoring many small artifacts costs: an incremental build against a clean build of the same source, runs interleaved.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './report.mjs';
import { openUser, requireReadable, runAs } from './user.mjs';

const USAGE = `usage: node bench/incremental.mjs [--runs N] [--files N] [--program FILE]

	--runs N        timed runs of each kind (default 3)
	--files N       how many files the artifacts are, about 1 KB each (default 30000)
	--directory DIR where all files are (default: the home directory of the user, or TMPDIR)
	--program FILE  the s2oci to measure (default bin/s2oci.js, which needs npm run build)
`;
/** What restoring 30,000 files may add to a clean build. */
const TARGET_MS = 1500;
const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const ASSEMBLE = `#!/bin/sh
set -eu
cp /tmp/src/app.js .
if [ -f /tmp/src/modules.tar ]; then tar -xf /tmp/src/modules.tar; fi
if [ -d /tmp/artifacts/node_modules ]; then mv /tmp/artifacts/node_modules .; fi
date > built
`;
const SAVE = '#!/bin/sh\ncd /opt/app-root/src && exec tar -cf - node_modules\n';
const { values } = parseArgs({
	options: {
		runs: { type: 'string', default: '3' },
		files: { type: 'string', default: '30000' },
		directory: { type: 'string' },
		program: { type: 'string', default: join(checkout, 'bin/s2oci.js') },
		help: { type: 'boolean', short: 'h' },
	},
});
if (values.help) process.stdout.write(USAGE);
else await main(Number(values.runs), Number(values.files), values);

async function main(runs, files, { program, directory }) {
	const user = openUser(checkout, directory);
	try {
		await requireReadable(user, checkout);
		process.stdout.write(`${render(await measure(user, program, runs, files))}\n`);
	} finally {
		if (process.getuid() === 0) rmSync(user.directory, { recursive: true, force: true });
		else execFileSync('unshare', ['--map-root-user', '--map-auto', 'rm', '-rf', user.directory]);
	}
}

/**
 * `clean` without artifacts, `stored` with the previous image's layer in the store, `chained` with that of the run before, which must be
 * unpacked first; `native` is what tar, find, gzip and rm take for the same files, without a sandbox, an overlay or an image.
 */
async function measure(user, program, runs, files) {
	const builder = join(user.directory, 'builder');
	execFileSync(join(checkout, 'scripts/make-builder'), ['--tiny', builder], { stdio: ['ignore', 'ignore', 'inherit'] });
	const [empty, full] = ['source', 'seed'].map((name) => makeSource(join(user.directory, name)));
	makeModules(join(user.directory, 'modules'), files);
	execFileSync('tar', ['-C', join(user.directory, 'modules'), '-cf', join(full, 'modules.tar'), 'node_modules']);
	execFileSync('chmod', ['-R', 'a+rX', user.directory]);
	const image = (tag) => `oci:${user.directory}/images:${tag}`;
	const build = (source, tag, ...more) => {
		const words = ['build', source, `oci:${builder}:latest`, image(tag), '--copy', ...more];
		return timed(user, [process.execPath, program, ...words, '--store', join(user.directory, 'store')]);
	};
	await build(full, 'seed');
	const kinds = {
		clean: (tag) => build(empty, tag),
		stored: (tag) => build(empty, tag, '--incremental', '--previous-image', image('seed')),
		chained: (tag, round) =>
			build(empty, tag, '--incremental', '--previous-image', image(round === 1 ? 'seed' : `chained-${round - 1}`)),
	};
	for (const kind of ['clean', 'stored']) await kinds[kind](`warm-${kind}`);
	const native = openNative(user, join(user.directory, 'modules'));
	const measured = { clean: [], stored: [], chained: [], native: [] };
	for (let round = 1; round <= runs; round++) {
		for (const kind of Object.keys(kinds)) {
			execFileSync('sync');
			const run = await kinds[kind](`${kind}-${round}`, round);
			// The seed is in the store; only what a run before has built must be unpacked.
			if (kind !== 'chained' || round > 1 || runs === 1) measured[kind].push(run);
			process.stderr.write(`${kind} ${round}/${runs}: ${describe(run)}\n`);
		}
		measured.native.push(await native());
		process.stderr.write(`native ${round}/${runs}: ${describe(measured.native.at(-1))}\n`);
	}
	return measured;
}

/** Each run works in a directory of its own, which is put apart as s2oci does with its scratch directories where ext4 has no journal. */
function openNative(user, modules) {
	const parent = join(user.directory, 'native');
	execFileSync('sh', ['-c', 'mkdir "$1" && chmod 1777 "$1" && { chattr +T "$1" 2>/dev/null || :; }', 'sh', parent]);
	const gzip = findProgram('pigz') ? 'pigz -5' : 'gzip -5';
	const script = [
		'work=$(mktemp -d -p "$1")',
		'tar -C "$2" -cf - node_modules | tar -C "$work" -xf -',
		'find "$work/node_modules" -printf "%p %s %T@\\n" >/dev/null',
		`tar -C "$work" -cf - node_modules | ${gzip} | tee "$work/layer" | sha256sum >/dev/null`,
		'rm -rf "$work"',
	].join(' && ');
	return () => timed(user, ['/bin/sh', '-c', script, 'sh', parent, modules]);
}

function findProgram(name) {
	return (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, name)));
}

function makeSource(directory) {
	mkdirSync(join(directory, '.s2i/bin'), { recursive: true });
	for (const [name, text] of Object.entries({ assemble: ASSEMBLE, 'save-artifacts': SAVE })) {
		writeFileSync(join(directory, '.s2i/bin', name), text);
		chmodSync(join(directory, '.s2i/bin', name), 0o755);
	}
	writeFileSync(join(directory, 'app.js'), 'console.log("hello");\n');
	return directory;
}

/** Packages of 50 files in four directories, as npm leaves them; the same text each time. */
function makeModules(directory, files) {
	const words = 'function module exports require const return value index length prototype undefined string'.split(' ');
	let seed = 1;
	const next = (limit) => {
		seed = (seed * 1103515245 + 12345) % 2147483648;
		return Math.floor((seed / 2147483648) * limit);
	};
	for (let file = 0; file < files; file++) {
		const parent = join(
			directory,
			'node_modules',
			`package-${Math.floor(file / 50)}`,
			['', 'lib', 'lib/util', 'dist'][file % 4],
		);
		if (file % 50 < 4) mkdirSync(parent, { recursive: true });
		let text = '';
		while (text.length < 1000) text += `${words[next(words.length)]} ${next(1000)}${next(10) === 0 ? ';\n' : ' '}`;
		writeFileSync(join(parent, `file-${file}.js`), text);
	}
}

/** Wall and processor time of a command and all that it started, in ms. */
async function timed(user, argv) {
	const file = join(user.directory, 'times');
	const script = 'file=$1; shift; "$@"; status=$?; times > "$file"; exit $status';
	const { ms } = await runAs(user, ['/bin/sh', '-c', script, 'sh', file, ...argv]);
	const [, children = ''] = readFileSync(file, 'utf8').split('\n');
	const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(([, minutes, rest]) => 60 * minutes + Number(rest));
	return { ms, cpu: 1000 * seconds.reduce((sum, each) => sum + each, 0) };
}

function render(measured) {
	const of = (kind, what) => median(measured[kind].map((run) => run[what]));
	const rows = ['clean', 'stored', 'chained', 'native'].map((kind) => {
		const run = { ms: of(kind, 'ms'), cpu: of(kind, 'cpu') };
		const added = { ms: run.ms - of('clean', 'ms'), cpu: run.cpu - of('clean', 'cpu') };
		const isBuild = kind === 'stored' || kind === 'chained';
		const verdict = !isBuild ? '' : `, adds ${describe(added)}, ${added.ms <= TARGET_MS ? 'met' : 'missed'}`;
		return `${kind.padEnd(8)} ${describe(run)}${verdict}`;
	});
	return ['', `medians; target: adds at most ${TARGET_MS / 1000} s`, ...rows].join('\n');
}

function describe({ ms, cpu }) {
	return `${(ms / 1000).toFixed(2)} s (${(cpu / 1000).toFixed(2)} s of processors)`;
}
