import { randomUUID } from 'node:crypto';
import type { Call, State } from './registry-state.js';

/** The token server (distribution token and OAuth2 protocols). */
export function answerToken({ faults, tokens }: State, call: Call): void {
	const form = new URLSearchParams(call.body.toString());
	const { tokenAnswer = { field: 'token' } } = faults;
	const refused = refusalOf(faults, call, form);
	if (refused !== undefined) call.reply(refused, {}, '{"details":"no"}');
	else if (!isKnown(faults, call, form)) call.reply(401, {}, '{"details":"incorrect username or password"}');
	else {
		const token = randomUUID();
		tokens.set(token, 0);
		const expires = tokenAnswer.expiresIn === undefined ? {} : { expires_in: tokenAnswer.expiresIn };
		const body = JSON.stringify({ [tokenAnswer.field]: token, ...expires });
		call.reply(200, { 'content-type': 'application/json' }, body);
	}
}

function refusalOf(faults: State['faults'], { request, url }: Call, form: URLSearchParams): number | undefined {
	if (faults.tokenStatus !== undefined) return faults.tokenStatus;
	if (faults.postOnly === true && request.method !== 'POST') return 405;
	const asked = [...url.searchParams.getAll('scope'), ...(form.get('scope')?.split(' ') ?? [])];
	const namesService = url.searchParams.has('service') || form.has('service');
	const isOdd = (faults.oneScope === true && asked.length > 1) || (faults.noService === true && namesService);
	return isOdd ? 400 : undefined;
}

function isKnown({ bearer, identityToken, postOnly }: State['faults'], call: Call, form: URLSearchParams): boolean {
	const { method, headers } = call.request;
	if (method === 'POST' && identityToken !== undefined && form.get('refresh_token') === identityToken) return true;
	if (bearer === undefined) return false;
	if (bearer.anonymous === true && headers.authorization === undefined) return true;
	if (headers.authorization === basicOf(bearer)) return true;
	return postOnly === true && form.get('username') === bearer.username && form.get('password') === bearer.password;
}

/** The Authorization header of a user (RFC 7617). */
export function basicOf({ username, password }: { readonly username: string; readonly password: string }): string {
	return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
