/** One challenge of a WWW-Authenticate header (RFC 9110 11.6.1); scheme and parameter names are lower-case. */
export interface Challenge {
	readonly scheme: string;
	readonly params: ReadonlyMap<string, string>;
}

const MAX_HEADER = 16 * 1024;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAM =
	/[\t ]*(?:,[\t ]*)?([!#$%&'*+.^_`|~0-9A-Za-z-]+)[\t ]*=[\t ]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*))/sy;
const TOKEN68 = /[\t ]+[A-Za-z0-9._~+/-]+=*(?=[\t ]*(?:,|$))/y;
const SEPARATOR = /[\t ,]*/y;

/**
 * The challenges of a WWW-Authenticate header, also of several joined with commas. What does not follow the grammar ends the list;
 * a header of more than 16 KiB has none. The first of repeated parameters counts.
 */
export function parseChallenges(header: string): readonly Challenge[] {
	const challenges: Challenge[] = [];
	if (header.length > MAX_HEADER) return challenges;
	let at = matchAt(SEPARATOR, header, 0)?.end ?? 0;
	while (at < header.length) {
		const scheme = matchAt(TOKEN, header, at);
		if (scheme === undefined) break;
		const afterScheme = matchAt(TOKEN68, header, scheme.end)?.end ?? scheme.end;
		const { params, end } = readParams(header, afterScheme);
		challenges.push({ scheme: (scheme.groups[0] ?? '').toLowerCase(), params });
		at = matchAt(SEPARATOR, header, end)?.end ?? end;
	}
	return challenges;
}

function readParams(header: string, start: number): { params: ReadonlyMap<string, string>; end: number } {
	const params = new Map<string, string>();
	let end = start;
	for (;;) {
		const match = matchAt(PARAM, header, end);
		if (match === undefined) return { params, end };
		const [, name = '', quoted, plain = ''] = match.groups;
		const key = name.toLowerCase();
		if (!params.has(key)) params.set(key, quoted === undefined ? plain : quoted.replace(/\\(.)/gs, '$1'));
		end = match.end;
	}
}

function matchAt(
	pattern: RegExp,
	text: string,
	at: number,
): { readonly groups: readonly (string | undefined)[]; readonly end: number } | undefined {
	pattern.lastIndex = at;
	const match = pattern.exec(text);
	return match === null ? undefined : { groups: [...match], end: pattern.lastIndex };
}
