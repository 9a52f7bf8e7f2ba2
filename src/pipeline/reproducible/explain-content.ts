import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { latin1Path, printablePath } from '../../root-path.js';
import { createTarReader } from '../../tar/reader.js';
import { sniffCompression } from '../../tar/sniff.js';

/** What makes builds differ; docs/reproducible.md says what helps against each. */
export type Cause =
	| 'only-once'
	| 'attributes'
	| 'python-bytecode'
	| 'gzip-time'
	| 'member-order'
	| 'member-times'
	| 'members'
	| 'line-order'
	| 'time'
	| 'identifier'
	| 'path'
	| 'unknown';

/** A cause and how to say it of a file: it follows the file's name and a colon. */
export interface Explanation {
	readonly cause: Cause;
	readonly reason: string;
}

/** Why two layers of the same source are not the same, at one path, which is printable. */
export interface Difference extends Explanation {
	readonly path: string;
}

const INFLATE_LIMIT = 64 * 1024 * 1024;
/** gzip in gzip may never end: there are files that inflate to themselves. */
const MAX_DEPTH = 4;
const MAX_LINES_BYTES = 4 * 1024 * 1024;
const WINDOW = 64;
const SHOWN = 60;
/** From 2001 to 2100: what a number of seconds must be to be taken for a time. */
const [EARLIEST, LATEST] = [1_000_000_000, 4_102_444_800];
const NEAR_SECONDS = 86_400;
const MONTHS = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';
const PATTERNS: readonly (readonly [Cause, string, RegExp])[] = [
	['identifier', 'a random identifier', /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi],
	['time', 'a date', /\d{4}[-/]\d{2}[-/]\d{2}(?:[T _]\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:?\d{2})?/g],
	[
		'time',
		'a date',
		new RegExp(
			`(?:\\d{1,2}[ -])?(?:${MONTHS})[a-z]*[ -.,]+\\d{1,4}[ ,]*(?:\\d{4})?(?: *\\d{2}:\\d{2}(?::\\d{2})?)?`,
			'g',
		),
	],
	['time', 'a time', /\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?/g],
	[
		'time',
		'a time in seconds or milliseconds',
		/(?<![0-9a-fA-F])[1-3]\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?![0-9a-fA-F])/g,
	],
	['path', 'an absolute path', /\/(?:[\w.@+~-]+\/)+[\w.@+~-]*|\/tmp\/[\w.@+~-]+/g],
	['identifier', 'a random or hashed value', /[0-9a-f]{12,}/gi],
];

/** The likely cause why the file at `path`, `depth` gzip files deep, has other content in a second build. */
export async function explainContent(path: string, first: Buffer, second: Buffer, depth = 0): Promise<Explanation> {
	return (
		explainByteCode(path, first, second) ??
		(await explainGzip(path, first, second, depth)) ??
		(await explainArchive(first, second)) ??
		explainLines(first, second) ??
		explainText(first, second) ??
		explainBinary(first, second) ?? { cause: 'unknown', reason: 'differs for a reason that cannot be seen' }
	);
}

/** PEP 552: magic, flags, then the time of the source file unless the flags say that there is a hash. */
function explainByteCode(path: string, first: Buffer, second: Buffer): Explanation | undefined {
	const isByteCode = path.endsWith('.pyc') && first.length >= 16 && first.readUInt16LE(2) === 0x0a0d;
	if (!isByteCode || first.length !== second.length) return undefined;
	if (!differsOnlyIn(first, second, 8, 12)) return undefined;
	return { cause: 'python-bytecode', reason: 'is Python byte code with the time of its source file in the header' };
}

/** RFC 1952: the time that was compressed at is in bytes 4 to 7. */
async function explainGzip(
	path: string,
	first: Buffer,
	second: Buffer,
	depth: number,
): Promise<Explanation | undefined> {
	if (depth >= MAX_DEPTH || !isGzip(first) || !isGzip(second)) return undefined;
	if (differsOnlyIn(first, second, 4, 8)) {
		return { cause: 'gzip-time', reason: 'is a gzip file with the time of compression in its header' };
	}
	const [one, other] = [inflate(first), inflate(second)];
	if (one === undefined || other === undefined) return undefined;
	if (one.equals(other))
		return { cause: 'gzip-time', reason: 'is a gzip file with the same content under another header' };
	const inside = await explainContent(path.replace(/\.t?gz$/, ''), one, other, depth + 1);
	return { ...inside, reason: `${inside.reason}, inside of the gzip file` };
}

async function explainArchive(first: Buffer, second: Buffer): Promise<Explanation | undefined> {
	for (const read of [readZipMembers, readTarMembers]) {
		const [one, other] = [await read(first), await read(second)];
		if (one !== undefined && other !== undefined) return explainMembers(one, other);
	}
	return undefined;
}

function explainLines(first: Buffer, second: Buffer): Explanation | undefined {
	if (first.length !== second.length || first.length > MAX_LINES_BYTES) return undefined;
	const [one, other] = [first, second].map((bytes) => bytes.toString('latin1').split('\n').sort().join('\n'));
	return one === other ? { cause: 'line-order', reason: 'has the same lines in another order' } : undefined;
}

/** What stands where the two first differ. */
function explainText(first: Buffer, second: Buffer): Explanation | undefined {
	const at = firstDifference(first, second);
	for (const [cause, what, pattern] of PATTERNS) {
		const [one, other] = [textAt(first, at, pattern), textAt(second, at, pattern)];
		if (one === undefined || other === undefined || one === other) continue;
		return { cause, reason: `holds ${what}: ${shown(one)}, then ${shown(other)}` };
	}
	return undefined;
}

/** A number of seconds in four bytes of either order. */
function explainBinary(first: Buffer, second: Buffer): Explanation | undefined {
	const at = firstDifference(first, second);
	for (let start = Math.max(0, at - 3); start <= at && start + 4 <= Math.min(first.length, second.length); start++) {
		const pairs = [
			[first.readUInt32LE(start), second.readUInt32LE(start)],
			[first.readUInt32BE(start), second.readUInt32BE(start)],
		] as const;
		if (pairs.some(([one, other]) => isTime(one) && isTime(other) && Math.abs(one - other) < NEAR_SECONDS)) {
			return { cause: 'time', reason: `holds a time in binary, at byte ${String(start)}` };
		}
	}
	return undefined;
}

function isTime(seconds: number): boolean {
	return seconds > EARLIEST && seconds < LATEST;
}

function isGzip(bytes: Buffer): boolean {
	return bytes.length > 18 && sniffCompression(bytes) === 'gzip';
}

function inflate(bytes: Buffer): Buffer | undefined {
	try {
		return gunzipSync(bytes, { maxOutputLength: INFLATE_LIMIT });
	} catch {
		return undefined;
	}
}

function differsOnlyIn(first: Buffer, second: Buffer, from: number, to: number): boolean {
	const isSame = (start: number, end: number) => first.subarray(start, end).equals(second.subarray(start, end));
	return first.length === second.length && isSame(0, from) && isSame(to, first.length);
}

function firstDifference(first: Buffer, second: Buffer): number {
	const end = Math.min(first.length, second.length);
	let at = 0;
	while (at < end && first[at] === second[at]) at++;
	return at;
}

/** The match of `pattern` that the byte `at` is in, or just behind. */
function textAt(bytes: Buffer, at: number, pattern: RegExp): string | undefined {
	const from = Math.max(0, at - WINDOW);
	const around = bytes.toString('latin1', from, at + WINDOW);
	for (const match of around.matchAll(pattern)) {
		const start = from + match.index;
		if (start <= at && at <= start + match[0].length) return match[0];
	}
	return undefined;
}

function shown(text: string): string {
	return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
}

/** One member of an archive, in the archive's order. */
interface ComparedMember {
	readonly name: string;
	/** Equal for equal content. */
	readonly content: string;
	/** Everything of its header that is neither name nor content, as times. */
	readonly times: string;
}

const LOCAL_ENTRY = 0x04034b50;

/** The members of a zip or jar file (PKWARE APPNOTE 4.3.12), undefined when it is none or damaged. */
async function readZipMembers(bytes: Buffer): Promise<readonly ComparedMember[] | undefined> {
	if (bytes.length < 4 || bytes.readUInt32LE(0) !== LOCAL_ENTRY) return undefined;
	const { fromBufferPromise } = await import('yauzl');
	const members: ComparedMember[] = [];
	try {
		const zip = await fromBufferPromise(bytes, { decodeStrings: false });
		for await (const { fileNameRaw, crc32, uncompressedSize, ...entry } of zip.eachEntry()) {
			members.push({
				name: fileNameRaw.toString('latin1'),
				content: `${crc32} ${uncompressedSize}`,
				times: `${entry.lastModFileDate} ${entry.lastModFileTime} ${entry.extraFieldRaw.toString('hex')}`,
			});
		}
		return members;
	} catch {
		return undefined;
	}
}

/** The members of a tar file, undefined when it is none. */
function readTarMembers(bytes: Buffer): readonly ComparedMember[] | undefined {
	if (bytes.length < 512 || bytes.toString('latin1', 257, 262) !== 'ustar') return undefined;
	const members: ComparedMember[] = [];
	let hash = createHash('sha256');
	let current = { name: '', times: '', what: '' };
	const reader = createTarReader({
		entry: ({ path, mtime, type, mode, uid, gid, linkPath }) => {
			hash = createHash('sha256');
			current = { name: path, times: String(mtime), what: `${type} ${mode} ${uid} ${gid} ${linkPath}` };
		},
		data: (chunk) => void hash.update(chunk),
		close: () => {
			const { name, times, what } = current;
			members.push({ name, times, content: `${what} ${hash.digest('hex')}` });
		},
	});
	try {
		reader.write(bytes);
		reader.end();
		return members;
	} catch {
		return undefined;
	}
}

/** How two archives that are not the same bytes differ. */
function explainMembers(first: readonly ComparedMember[], second: readonly ComparedMember[]): Explanation {
	const others = new Map(second.map((member) => [member.name, member]));
	const changed = first.filter(({ name, content }) => others.get(name)?.content !== content);
	const names = (members: readonly ComparedMember[]) => members.map(({ name }) => name).join('\0');
	if (changed.length > 0 || first.length !== second.length) {
		const [name] = changed.length > 0 ? changed : [first.length > second.length ? first.at(-1) : second.at(-1)];
		return {
			cause: 'members',
			reason: `is an archive of other members, such as ${printablePath(latin1Path(name?.name ?? ''))}`,
		};
	}
	if (names(first) !== names(second)) {
		return { cause: 'member-order', reason: 'is an archive of the same members in another order' };
	}
	const timed = first.find(({ name, times }) => others.get(name)?.times !== times);
	if (timed === undefined)
		return { cause: 'unknown', reason: 'is an archive of the same members, written differently' };
	return {
		cause: 'member-times',
		reason: `is an archive with the times of its members, such as ${printablePath(latin1Path(timed.name))}`,
	};
}
