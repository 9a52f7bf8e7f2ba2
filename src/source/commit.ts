import { redact } from '../redact.js';
import type { SourceInfo } from './source.js';

/** What a commit object says of itself, in the words that labels and the result use. */
export type CommitText = Pick<SourceInfo, 'author' | 'date' | 'message' | 'epoch'>;

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const COLUMNS = 80;
const MAX_SECONDS = 8_640_000_000_000 - 86_400;
const IDENT = /^(.*?)\s*<([^>]*)>[^>]*?(-?\d+)\s+([+-]\d{1,6})$/s;
const UTF8 = /^utf-?8$/i;
/** Two columns of a terminal, as git counts them (Unicode UAX 11, wide and fullwidth). */
const WIDE =
	/[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/**
 * Reads the commit object `raw` (git cat-file commit) as S2I has git print it: the author, omitted without a name; the author's date as
 * `Mon May 6 07:08:09 2024 +0200`; the subject cut to 80 columns, with `..` at the end of what was longer. It depends on neither git's
 * version nor its configuration. Text is decoded by the commit's own `encoding`. All of it is redacted. `epoch` is the committer's time;
 * undefined when that cannot be read.
 */
export function readCommitText(raw: Buffer): CommitText | undefined {
	const end = raw.indexOf('\n\n');
	const head = end === -1 ? raw : raw.subarray(0, end);
	const encoding = /^encoding (\S+)$/m.exec(head.toString('latin1'))?.[1];
	const headers = decode(head, encoding).split('\n');
	const ident = (name: string) => IDENT.exec(headers.find((line) => line.startsWith(`${name} `)) ?? '');
	const committed = ident('committer')?.[3];
	if (committed === undefined) return undefined;
	const message = subjectOf(end === -1 ? '' : decode(raw.subarray(end + 2), encoding));
	return {
		...authorOf(ident('author') ?? []),
		...(message === '' ? {} : { message }),
		epoch: Math.max(0, Number(committed)),
	};
}

function authorOf([, author = '', email = '', seconds = '', zone = '']: readonly string[]): Pick<
	CommitText,
	'author' | 'date'
> {
	const name = redact(author.slice('author '.length)).trim();
	return {
		...(name === '' ? {} : { author: `${name} <${redact(email).trim()}>` }),
		...(seconds === '' ? {} : { date: formatDate(Number(seconds), zone) }),
	};
}

/** As git's default date format, with the author's own clock; a time that no clock shows is the start of 1970. */
function formatDate(seconds: number, zone: string): string {
	if (!(Math.abs(seconds) < MAX_SECONDS)) return formatDate(0, '+0000');
	const digits = Number(zone.slice(1));
	const minutes = (zone.startsWith('-') ? -1 : 1) * (Math.floor(digits / 100) * 60 + (digits % 100));
	const local = new Date((seconds + minutes * 60) * 1000);
	const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map((part) => pad(part, 2));
	const day = `${DAYS[local.getUTCDay()] ?? ''} ${MONTHS[local.getUTCMonth()] ?? ''} ${local.getUTCDate()}`;
	const sign = zone.startsWith('-') && digits !== 0 ? '-' : '+';
	return `${day} ${clock.join(':')} ${local.getUTCFullYear()} ${sign}${pad(digits, 4)}`;
}

function pad(number: number, length: number): string {
	return String(number).padStart(length, '0');
}

/** The first paragraph as one line. */
function subjectOf(message: string): string {
	const lines = message.replace(/^(?:[^\S\n]*\n)+/, '').split('\n');
	const blank = lines.findIndex((line) => line.trim() === '');
	const subject = (blank === -1 ? lines : lines.slice(0, blank)).map((line) => line.trimEnd()).join(' ');
	return cut(redact(subject).trim()).trim();
}

function cut(text: string): string {
	const characters = Array.from(text.slice(0, 4 * COLUMNS));
	let columns = 0;
	let kept = '';
	for (const character of characters) {
		columns += widthOf(character);
		if (columns <= COLUMNS - 2) kept += character;
	}
	return columns <= COLUMNS && text.length <= 4 * COLUMNS ? text : `${kept}..`;
}

function widthOf(character: string): number {
	if (NO_WIDTH.test(character)) return 0;
	return WIDE.test(character) ? 2 : 1;
}

function decode(bytes: Buffer, encoding: string | undefined): string {
	if (encoding !== undefined && !UTF8.test(encoding)) {
		try {
			return new TextDecoder(encoding).decode(bytes);
		} catch {
			// An encoding that is not known here is read as the one that all others are.
		}
	}
	return bytes.toString('utf8');
}
