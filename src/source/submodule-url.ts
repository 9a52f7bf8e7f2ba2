/**
 * The URL of a submodule, `./` and `../` resolved against `base` as git does: `base` is the URL or path of the superproject's remote,
 * of which each `../` takes the last part away, at a `/` or else at the `:` of `host:path` (git-submodule(1), "add"). Undefined when
 * there is nothing left to take away. Any other `url` is returned as it is.
 */
export function resolveSubmoduleUrl(base: string, url: string): string | undefined {
	if (!/^\.\.?\//.test(url)) return url;
	let remote = base.replace(/\/$/, '');
	let rest = url;
	let separator = '/';
	for (;;) {
		if (rest.startsWith('./')) rest = rest.slice(2);
		else if (rest.startsWith('../')) {
			rest = rest.slice(3);
			const at = Math.max(remote.lastIndexOf('/'), remote.includes('/') ? -1 : remote.lastIndexOf(':'));
			if (at === -1) return undefined;
			separator = remote[at] ?? '/';
			remote = remote.slice(0, at);
		} else return `${remote}${separator}${rest}`.replace(/\/$/, '');
	}
}
