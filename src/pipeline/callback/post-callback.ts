import { messageOf } from '../../errors.js';
import type { Http } from '../../http/http.js';
import { redact, redactUrl } from '../../redact.js';
import { type CallbackOutcome, callbackBody } from '../../s2i/callback.js';
import type { Emit } from '../events.js';
import type { Callback } from '../request.js';

const TRIES = 3;
const TRY_TIMEOUT = 10_000;
const TIMEOUT = 30_000;

/**
 * Tells `callback` how the build ended: a POST, tried three times for 10 s each and for 30 s in all. Never rejects: what goes wrong is
 * a warning that names no more of the URL than its host, because the paths of web hooks are secrets too.
 */
export async function sendCallback(
	callback: Callback,
	outcome: CallbackOutcome,
	http: Pick<Http, 'post'>,
	emit: Emit,
	signal: AbortSignal,
): Promise<void> {
	const shown = showUrl(callback.url);
	const warn = (problem: string) => emit({ type: 'warning', code: 'CALLBACK', message: `the callback to ${problem}` });
	const options = { contentType: 'application/json', tries: TRIES, timeoutMs: TRY_TIMEOUT };
	const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
	try {
		const status = await http.post(callback.url, callbackBody(callback.format, outcome), options, limit);
		if (status < 300) emit({ type: 'log', level: 1, message: `callback sent to ${shown}` });
		else warn(`${shown} was answered with status ${status}${status < 400 ? '; redirects are not followed' : ''}`);
	} catch (error) {
		warn(`${shown} failed: ${hidePath(messageOf(error), callback.url, shown)}`);
	}
}

function showUrl(text: string): string {
	return URL.canParse(text) ? `${new URL(text).protocol}//${new URL(text).host}` : 'a URL that cannot be parsed';
}

function hidePath(message: string, url: string, shown: string): string {
	const known = URL.canParse(url) ? message.replaceAll(redactUrl(new URL(url)), shown) : message;
	return redact(known);
}
