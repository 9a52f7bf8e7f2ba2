/**
 * A path as raw bytes, one character (U+0000-U+00FF) for each byte, because Linux names need not be UTF-8. Conversion from and to
 * host strings happens only in {@link rawPath} and {@link fsPath}.
 */
export type RawPath = string;

/** A normalised path inside a root filesystem: raw bytes, no leading slash, no empty, `.` or `..` part; the root itself is `''`. */
export type RootPath = string & { readonly __brand: 'RootPath' };

export const ROOT: RootPath = '' as RootPath;

const ASCII = /^[\x00-\x7f]*$/;

/** `path`, an ordinary string, as raw bytes. */
export function rawPath(path: string): RawPath {
	return ASCII.test(path) ? path : Buffer.from(path, 'utf8').toString('latin1');
}

/** `path` in the form that `node:fs` takes without changing a byte. */
export function fsPath(path: RawPath): string | Buffer {
	return ASCII.test(path) ? path : Buffer.from(path, 'latin1');
}

/** `path` for a message: UTF-8 where it is, control characters escaped. */
export function printablePath(path: RawPath): string {
	const text = Buffer.from(path, 'latin1').toString('utf8');
	return JSON.stringify(text).slice(1, -1);
}

/** The directory that holds `path`; the root for the root itself. */
export function parentOf(path: RootPath): RootPath {
	const slash = path.lastIndexOf('/');
	return (slash < 0 ? '' : path.slice(0, slash)) as RootPath;
}

/** The last part of `path`. */
export function nameOf(path: RootPath): string {
	return path.slice(path.lastIndexOf('/') + 1);
}

/** `name` below `directory`. `name` must be one path part. */
export function childOf(directory: RootPath, name: string): RootPath {
	return (directory === '' ? name : `${directory}/${name}`) as RootPath;
}

/** `path` below the host directory `root`, both raw. */
export function joinRaw(root: RawPath, path: RootPath): RawPath {
	return path === '' ? root : `${root}/${path}`;
}
