import { randomUUID } from 'node:crypto';
import type { Call, State } from './registry-state.js';

/** The token server (distribution token and OAuth2 protocols). */
export function answerToken({ faults, tokens }: State, call: Call): void {
	const form = new URLSearchParams(call.body.toString());
	const { tokenAnswer = { field: 'token' } } = faults;
	const namesService = call.url.searchParams.has('service') || form.has('service');
	if (faults.postOnly === true && call.request.method !== 'POST') call.reply(405);
	else if (faults.noService === true && namesService) call.reply(400, {}, '{"details":"unknown service"}');
	else if (!isKnown(faults, call, form)) call.reply(401, {}, '{"details":"incorrect username or password"}');
	else {
		const token = randomUUID();
		tokens.set(token, 0);
		const expires = tokenAnswer.expiresIn === undefined ? {} : { expires_in: tokenAnswer.expiresIn };
		const body = JSON.stringify({ [tokenAnswer.field]: token, ...expires });
		call.reply(200, { 'content-type': 'application/json' }, body);
	}
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
