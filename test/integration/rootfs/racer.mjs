// A hostile process: below the directory `argv[2]` it renames directories, exchanges them for links in `argv[4]` to `argv[3]`, and puts links, FIFOs and
// other files in the place of files. It reaches everything by descriptor itself, so that it changes nothing outside. Each message is a seed.
import { closeSync, constants, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const [, , root, outside, links] = process.argv;
const dist = new URL(process.env.S2OCI_TEST_DIST ?? '../../../dist/', import.meta.url);
const { loadLibc } = await import(new URL('linux/libc.js', dist));
const libc = await loadLibc();
const RENAMEAT2 = { x64: 316, arm64: 276 }[process.arch];
const RENAME_EXCHANGE = 2;
const CWD = -100;
const syscall = koffi.load(null).func('long syscall(long number, int a, str old, int b, str new, unsigned int flags)');
const mkfifo = koffi.load(null).func('int mkfifo(str path, unsigned int mode)');
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const DIRECTORIES = ['', 'a', 'b', 'a/x', 'b/x', 'a/x/deep', 'c'];
const NAMES = ['a', 'b', 'c', 'x', 'deep', 'file', 'other', 'link', 'fifo', 'moved'];

function random(seed) {
	let state = seed;
	return (limit) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor((state / 2 ** 32) * limit);
	};
}

/** `path` by descriptor, if its directory is really below the root. */
function reach(path, opened) {
	const [directory, name] = [path.slice(0, Math.max(0, path.lastIndexOf('/'))), path.slice(path.lastIndexOf('/') + 1)];
	try {
		const top = openSync(root, DIRECTORY);
		opened.push(top);
		if (directory === '') return `/proc/self/fd/${top}/${name}`;
		const fd = libc.openBeneath(top, directory, DIRECTORY);
		opened.push(fd);
		return `/proc/self/fd/${fd}/${name}`;
	} catch {
		return undefined;
	}
}

/** A directory, and a link beside the root that leads to its like outside. */
function pairOf(pick, opened) {
	const path = DIRECTORIES[1 + pick(DIRECTORIES.length - 1)];
	return [reach(path, opened), `${links}/${path.replaceAll('/', '-')}`];
}

function anyOf(pick, opened) {
	const path = () => `${DIRECTORIES[pick(DIRECTORIES.length)]}/${NAMES[pick(NAMES.length)]}`.replace(/^\//, '');
	return [reach(path(), opened), reach(path(), opened)];
}

const exchange = (at, other) => syscall(RENAMEAT2, CWD, at, CWD, other, RENAME_EXCHANGE);
const CHANGES = [
	exchange,
	(at, other) => syscall(RENAMEAT2, CWD, at, CWD, other, 0),
	(at, _other, pick) => symlinkSync([outside, `${outside}/a`, `${outside}/file`, '/dev/zero'][pick(4)], at),
	(at) => rmSync(at),
	(at) => mkdirSync(at),
	(at) => mkfifo(at, 0o666),
	(at, _other, pick) => writeFileSync(at, 'inside'.repeat(pick(3)), { flag: 'wx' }),
];

function change(pick) {
	const opened = [];
	const isExchange = pick(2) === 0;
	const [at, other] = (isExchange ? pairOf : anyOf)(pick, opened);
	try {
		const todo = isExchange ? exchange : CHANGES[pick(CHANGES.length)];
		if (at !== undefined && other !== undefined) todo(at, other, pick);
	} catch {
		// It raced with the other end, or with its own past.
	}
	for (const fd of opened) closeSync(fd);
}

let pick;
function race() {
	for (let number = 0; pick !== undefined && number < 20; number++) change(pick);
	if (pick !== undefined) setImmediate(race);
}
process.on('message', ({ seed }) => {
	const isNew = pick === undefined;
	pick = seed === undefined ? undefined : random(seed);
	if (isNew && pick !== undefined) race();
	process.send('done');
});
process.on('disconnect', () => process.exit());
process.send('ready');
