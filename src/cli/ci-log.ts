import { randomBytes } from 'node:crypto';
import { isBuildError, messageOf } from '../errors.js';
import type { Stage } from '../pipeline/events.js';
import { redact } from '../redact.js';
import type { CiEngine } from './ci-engine.js';
import type { Report } from './report.js';

type Write = (text: string | Uint8Array) => void;

/** The log of a job, whose engine takes some of its lines for commands. */
export interface CiLog {
	/** Writes what is no command, whatever it looks like. */
	readonly write: Write;
	/** Begins a part that folds. */
	readonly begin: (name: string) => void;
	readonly end: (name: string) => void;
	/** Tells people where they look first. */
	readonly annotate: (title: string, message: string) => void;
	/** From now on, others write to the log. */
	readonly close: () => void;
}

/** Stages in which programs of the image print. */
const FOLDED: ReadonlySet<Stage> = new Set(['onbuild', 'artifacts', 'assemble', 'runtime', 'before-push']);

/** The log for the engine of this job; undefined where it takes no commands from it. */
export function openCiLog(engine: CiEngine | undefined, write: Write): CiLog | undefined {
	if (engine === 'github') return githubLog(write);
	return engine === 'gitlab' ? gitlabLog(write) : undefined;
}

/** `report`, which writes to `log`, in parts that fold. Without `folds` only what fails stands out. */
export function foldedReport(report: Report, log: CiLog, folds: boolean): Report {
	let open: string | undefined;
	const end = () => {
		if (open !== undefined) log.end(open);
		open = undefined;
	};
	return {
		emit: (event) => {
			if (folds && event.type === 'stage' && FOLDED.has(event.stage)) {
				end();
				if (event.status === 'start') {
					open = event.stage;
					log.begin(open);
				}
			}
			report.emit(event);
		},
		finish: (result, error) => {
			end();
			report.finish(result, error);
			if (error !== undefined) log.annotate(isBuildError(error) ? error.code : 'BUG', messageOf(error));
			log.close();
		},
	};
}

/** Writes lines of JSON, which stay what they are, so that no engine finds a command in their strings. */
export function jsonWriter(engine: CiEngine | undefined, write: Write): Write {
	if (engine !== 'github') return write;
	return (text) => write(typeof text === 'string' ? text.replaceAll('##[', '#\\u0023[') : text);
}

/** What is left of an annotation is enough for the last lines of a script. */
const MAX_ANNOTATION = 4000;
const LINE_FEED = 0x0a;

/**
 * Commands are stopped but for the moment of our own, by a token that is new each time: the runner takes `::name::` at the beginning of a line and
 * `##[name]` anywhere for one, from a script of the image as from us (GitHub: workflow commands, stopping and starting).
 */
function githubLog(write: Write): CiLog {
	let token = '';
	let atLineStart = true;
	const stopped = () => {
		token = randomBytes(16).toString('hex');
		return `::stop-commands::${token}\n`;
	};
	const command = (text: string) => {
		write(`${atLineStart ? '' : '\n'}::${token}::\n${text}\n${stopped()}`);
		atLineStart = true;
	};
	// Whatever ran before us in this step may have left its line open.
	write(`\n${stopped()}`);
	return {
		write: (text) => {
			if (text.length > 0)
				atLineStart = (typeof text === 'string' ? text.charCodeAt(text.length - 1) : text.at(-1)) === LINE_FEED;
			write(text);
		},
		begin: (name) => command(`::group::s2oci ${name}`),
		end: () => command('::endgroup::'),
		annotate: (title, message) =>
			command(`::error title=s2oci ${title}::${escapeData(redact(message).slice(0, MAX_ANNOTATION))}`),
		close: () => write(`${atLineStart ? '' : '\n'}::${token}::\n`),
	};
}

/** As toolkit's escapeData. */
function escapeData(text: string): string {
	return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

const TAIL = 'section_start'.length;

/** GitLab takes `section_start:TIME:NAME` and `section_end:` for marks wherever they are (docs/ci/jobs/job_logs.md); in what is not ours, a blank breaks them. */
function gitlabLog(write: Write): CiLog {
	let tail = '';
	const mark = (text: string) => {
		write(`${tail === '' || tail.endsWith('\n') ? '' : '\n'}${text}`);
		tail = '\n';
	};
	const now = () => String(Math.floor(Date.now() / 1000));
	return {
		write: (text) => {
			// What was written before may be the first half of a mark.
			const bytes =
				typeof text === 'string' ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length);
			const broken = (tail + bytes.toString('latin1')).replace(/(section_(?:start|end)):/g, '$1 :');
			write(Buffer.from(broken.slice(tail.length), 'latin1'));
			tail = broken.slice(-TAIL);
		},
		begin: (name) => mark(`\x1b[0Ksection_start:${now()}:s2oci_${name}[collapsed=true]\r\x1b[0Ks2oci ${name}\n`),
		end: (name) => mark(`\x1b[0Ksection_end:${now()}:s2oci_${name}\r\x1b[0K`),
		annotate: () => undefined,
		close: () => undefined,
	};
}
