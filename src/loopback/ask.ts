import type { IncomingMessage } from 'node:http';
import type { Answer, Question } from '../protocol/observation.js';

const TIME_MS = 3000;
const ALL_MS = 10_000;
const MAX_BODY = 256 << 10;
const MAX_HEADERS = 16 << 10;
const ADDRESSES = { 4: '127.0.0.1', 6: '::1' } as const;

/**
 * Asks servers on the loopback, one after the other. Whatever they answer, that takes at most 3 s, 16 KiB of headers and 256 KiB of body
 * each, 10 s in all, and leads nowhere else: no redirect is followed. Never rejects.
 */
export async function askServers(questions: readonly Question[]): Promise<readonly Answer[]> {
	const end = performance.now() + ALL_MS;
	const answers: Answer[] = [];
	for (const question of questions) {
		const left = end - performance.now();
		answers.push(left > 0 ? await askServer(question, Math.min(left, TIME_MS)) : LATE);
	}
	return answers;
}

const LATE: Answer = { type: 'none', error: 'no answer in time' };

async function askServer({ port, family, path }: Question, time: number): Promise<Answer> {
	// The same program starts the processes of sandboxes, which need none of it.
	const { Agent, get } = await import('node:http');
	return new Promise((resolve) => {
		const stop = AbortSignal.timeout(Math.ceil(time));
		const none = (error: Error) => resolve(stop.aborted ? LATE : { type: 'none', error: reasonOf(error) });
		const request = get({
			...{ host: ADDRESSES[family], port, family, path, signal: stop },
			headers: { host: `localhost:${port}`, accept: '*/*', connection: 'close' },
			agent: new Agent({ keepAlive: false }),
			maxHeaderSize: MAX_HEADERS,
		});
		request.on('error', none);
		request.on('response', (response) => {
			readAnswer(response).then((answer) => {
				resolve(answer);
				request.destroy();
			}, none);
		});
	});
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of response as AsyncIterable<Buffer>) {
		chunks.push(chunk);
		size += chunk.length;
		if (size > MAX_BODY) break;
	}
	const body = Buffer.concat(chunks).subarray(0, MAX_BODY).toString('base64');
	return {
		type: 'response',
		status: response.statusCode ?? 0,
		headers: headersOf(response),
		body,
		cut: size > MAX_BODY,
	};
}

function headersOf({ rawHeaders }: IncomingMessage): readonly (readonly [string, string])[] {
	return rawHeaders.flatMap((name, index) =>
		index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ''] as const] : [],
	);
}

/** What is the same whenever the same went wrong. */
function reasonOf({ code }: Error & { readonly code?: unknown }): string {
	return typeof code === 'string' ? code : 'no HTTP';
}
