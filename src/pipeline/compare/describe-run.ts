import { type Answer, type Listening, MAX_CHANGES, type Question } from '../../protocol/observation.js';
import type { RunSeen } from './observe-run.js';
import type { Field, Transcript } from './transcript.js';

/** What a program printed, as far as it is kept. */
export interface Printed {
	readonly stdout: string;
	readonly stderr: string;
	/** Of which of them there was more. */
	readonly cut: readonly ('stdout' | 'stderr')[];
}

const BODY_LINE = 2000;

/** What was seen of a run, field by field. */
export function describeRun(seen: RunSeen, { stdout, stderr, cut }: Printed): Transcript {
	const { ended, readyAfter, stopped } = seen;
	return [
		word('start', 'ends by itself', ended === undefined ? 'no' : `with status ${ended}`),
		word('start', 'ready', readyAfter === undefined ? 'no' : 'yes'),
		lines('port', 'listening ports', [...new Set(seen.listening.map(describePort))].sort()),
		...seen.answers.flatMap(([question, answer]) => describeAnswer(question, answer)),
		...(stopped === undefined ? [] : [word('stop', 'SIGTERM', describeStop(stopped))]),
		lines('output', 'stdout', linesOf(stdout)),
		lines('output', 'stderr', linesOf(stderr)),
		...cut.map((from) => rest('output', from)),
		...(ended === undefined ? [lines('process', 'processes', seen.processes)] : []),
		lines('file', 'files', seen.changes),
		...(seen.changes.length < MAX_CHANGES ? [] : [rest('file', 'files')]),
		...(readyAfter === undefined ? [] : [figure('startup', readyAfter, 'ms')]),
		...(ended === undefined ? [figure('memory', seen.memory, 'bytes')] : []),
	];
}

function word(kind: Field['kind'], name: string, text: string): Field {
	return { kind, name, value: { type: 'word', word: text } };
}

function lines(kind: Field['kind'], name: string, text: readonly string[], ordered = false): Field {
	return { kind, name, value: { type: 'lines', lines: text, ordered } };
}

/** What nobody looked at, so that it is not taken for the same. */
function rest(kind: Field['kind'], name: string): Field {
	return { kind, name: `${name}: the rest`, value: { type: 'unread' } };
}

function figure(name: string, amount: number, unit: 'ms' | 'bytes'): Field {
	return { kind: 'figure', name, value: { type: 'figure', amount, unit } };
}

function describePort({ port, address }: Listening): string {
	return `${port}/tcp on ${address === 'any' ? 'any address' : address === 'loopback' ? 'loopback' : 'another address'}`;
}

function describeStop(stopped: number | 'ignored'): string {
	return stopped === 'ignored' ? 'ignored' : `ends with status ${stopped}`;
}

function describeAnswer({ port, path }: Question, answer: Answer): readonly Field[] {
	const name = `GET ${path} on port ${port}`;
	if (answer.type === 'none') return [word('status', `${name}: status`, `no HTTP answer (${answer.error})`)];
	const body = Buffer.from(answer.body, 'base64');
	const headers = answer.headers.map(([header, value]) => `${header}: ${value}`);
	return [
		word('status', `${name}: status`, String(answer.status)),
		lines('header', `${name}: headers`, headers),
		lines('body', `${name}: body`, bodyLines(body), true),
		...(answer.cut ? [rest('body', `${name}: body`)] : []),
	];
}

/** Bytes that are no text are shown as hexadecimal digits, so that none of them is lost. */
function bodyLines(body: Buffer): readonly string[] {
	if (body.length === 0) return [];
	const text = body.toString('utf8');
	const isText = Buffer.from(text).equals(body) && !text.includes('\0');
	const shown = isText ? text : body.toString('hex').replace(/(.{64})/g, '$1\n');
	return shown.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${BODY_LINE}}`, 'gs')) ?? ['']);
}

function linesOf(text: string): readonly string[] {
	const trimmed = text.replace(/\n$/, '');
	return trimmed === '' ? [] : trimmed.split('\n');
}
