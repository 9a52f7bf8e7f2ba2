import type { GitLogin, NamedSecrets } from '../build-config/secrets.js';
import type { CopiedImage } from '../build-config/source-images.js';
import type { BuildRequest, ImageCredentials } from '../pipeline/request.js';

/** What OpenShift calls a user whom nobody names (scmauth, DefaultUsername). */
const DEFAULT_USER = 'builder';

/**
 * `request` with the credentials of `secrets`, each for what it is named for: the targets, builder and runtime image, one of the `images` that
 * are copied, and the repository when `isGit`.
 */
export function withCredentials(
	secrets: NamedSecrets,
	{ images, isGit }: { readonly images: readonly CopiedImage[]; readonly isGit: boolean },
	request: BuildRequest,
): BuildRequest {
	const { builder, runtime, output, source, host } = request;
	const bases = [builder, ...(runtime === undefined ? [] : [runtime.image])];
	const copied = images.flatMap(({ index }, position): readonly ImageCredentials[] => {
		const [secret, image] = [secrets.images.get(index), source.images?.[position]?.image];
		return secret === undefined || image === undefined ? [] : [{ ...secret, use: 'pull', images: [image] }];
	});
	const imageCredentials: readonly ImageCredentials[] = [
		...(secrets.push === undefined ? [] : [{ ...secrets.push, use: 'push' as const, images: output.targets }]),
		...(secrets.pull === undefined ? [] : [{ ...secrets.pull, use: 'pull' as const, images: bases }]),
		...copied,
	];
	const location = isGit && secrets.git !== undefined ? loggedIn(source.location, secrets.git) : source.location;
	return { ...request, host: { ...host, imageCredentials }, source: { ...source, location } };
}

/** A password of a URL goes to its origin only, and is printed nowhere. */
function loggedIn(location: string, { username, password }: GitLogin): string {
	const url = /^https?:\/\//i.test(location) && URL.canParse(location) ? new URL(location) : undefined;
	if (url === undefined) return location;
	if (username !== undefined) url.username = encodeURIComponent(username);
	if (password !== undefined) url.password = encodeURIComponent(password);
	if (url.username === '') url.username = DEFAULT_USER;
	return url.href;
}
