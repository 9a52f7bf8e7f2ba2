/** The value of a Basic Authorization header (RFC 7617). */
export function basicAuthorization({
	username,
	password,
}: {
	readonly username: string;
	readonly password: string;
}): string {
	return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** The Authorization header for the user info of a URL; undefined where it has none. A stray `%` stands for itself. */
export function userOf({ username, password }: URL): string | undefined {
	if (username === '' && password === '') return undefined;
	return basicAuthorization({ username: decode(username), password: decode(password) });
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}
