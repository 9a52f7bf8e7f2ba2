import { BuildError, type ErrorCode } from '../errors.js';
import { discard, type HttpResponse } from '../http/client.js';
import { parseJson } from '../json.js';
import { redact } from '../redact.js';

const MAX_BODY = 64 * 1024;

/** What a registry says went wrong (distribution-spec v1.1 "error codes"), redacted; `code` is '' when the body is no error document. */
interface RegistryError {
	readonly code: string;
	readonly message: string;
}

/**
 * The error for a response that is not what `what` ("pushing the manifest to ghcr.io/x/y") wanted. Reads at most 64 KiB of its body;
 * what the registry says is redacted.
 */
export async function responseError(response: HttpResponse, what: string): Promise<BuildError> {
	const said = await readError(response);
	const { code, hint } = classify(response, said, what);
	const detail = [said.code, said.message].filter((part) => part !== '').join(': ');
	return new BuildError(code, `${what} failed: HTTP ${response.status}${detail === '' ? '' : ` ${detail}`}`, { hint });
}

function classify(
	response: HttpResponse,
	said: RegistryError,
	what: string,
): { readonly code: ErrorCode; readonly hint: string } {
	const { status } = response;
	const pushing = /^(?:pushing|starting|mounting)/.test(what);
	if (status === 401)
		return { code: 'REGISTRY_UNAUTHORIZED', hint: 'Log in to this registry, and check the repository name.' };
	if (status === 429 || said.code === 'TOOMANYREQUESTS') return { code: 'REGISTRY_LIMITED', hint: limitHint(response) };
	if (status === 404 || (status < 500 && isMissing(said)))
		return { code: 'REGISTRY_NOT_FOUND', hint: missingHint(pushing) };
	if (status === 403 || said.code === 'DENIED') {
		const right = pushing ? 'push to' : 'pull from';
		return {
			code: 'REGISTRY_DENIED',
			hint: `The user or token may not ${right} this repository; check its rights and the name.`,
		};
	}
	if (status >= 500) return { code: 'REGISTRY_UNREACHABLE', hint: 'The registry has a problem; try again later.' };
	if (status === 413)
		return { code: 'REGISTRY_REFUSED', hint: 'A proxy in front of the registry limits the size of uploads; raise it.' };
	return { code: 'REGISTRY_REFUSED', hint: 'Read what the registry says; its log may tell more.' };
}

/** Harbor and the registry of Red Hat say UNKNOWN, and the rest in words. */
function isMissing({ code, message }: RegistryError): boolean {
	if (code === 'UNKNOWN') return /\bnot found\b/i.test(message);
	return ['NAME_UNKNOWN', 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NOT_FOUND'].includes(code);
}

function missingHint(pushing: boolean): string {
	return pushing
		? 'Some registries (Amazon ECR, Harbor projects) want the repository to exist before the first push; create it.'
		: 'Check the name and the tag; registries also say this of what one may not see.';
}

function limitHint(response: HttpResponse): string {
	const after = response.headers['retry-after'];
	const wait = after !== undefined && /^[0-9]{1,9}$/.test(after) ? ` The registry asks to wait ${after} s.` : '';
	// Docker Hub: 100;w=21600.
	const [, count, seconds] = /^([0-9]{1,9});w=([0-9]{1,9})\b/.exec(response.headers['ratelimit-limit'] ?? '') ?? [];
	const limit = count === undefined ? '' : ` (${count} in ${Number(seconds) / 3600} h)`;
	return `Log in, wait, or use a mirror: the registry limits how much may be requested${limit}.${wait}`;
}

async function readError(response: HttpResponse): Promise<RegistryError> {
	const chunks: Uint8Array[] = [];
	let size = 0;
	try {
		for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
			chunks.push(chunk);
			size += chunk.length;
			if (size >= MAX_BODY) break;
		}
	} catch {
		discard(response);
	}
	return parseError(Buffer.concat(chunks).subarray(0, MAX_BODY).toString('utf8'));
}

function parseError(body: string): RegistryError {
	try {
		const { errors } = parseJson(body) as { errors?: unknown };
		const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
		if (typeof first === 'object' && first !== null) {
			const { code, message } = first as Record<string, unknown>;
			return { code: printable(code), message: printable(message) };
		}
	} catch {
		return { code: '', message: '' };
	}
	return { code: '', message: '' };
}

function printable(value: unknown): string {
	return typeof value === 'string' ? redact(value).replace(/\s+/g, ' ').slice(0, 300) : '';
}
