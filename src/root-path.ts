/**
 * A path as raw bytes, one character (U+0000-U+00FF) for each byte, because Linux names need not be UTF-8. Conversion from and to
 * host strings happens only in {@link rawPath}, {@link latin1Path} and {@link fsPath}.
 */
export type RawPath = string & { readonly __brand: 'RawPath' };

/** A normalised path inside a root filesystem: raw bytes, no leading slash, no empty, `.` or `..` part; the root itself is `''`. */
export type RootPath = RawPath & { readonly __root: true };

export const ROOT: RootPath = '' as RootPath;

/** The root directory of this process. */
export const ROOT_DIRECTORY: RawPath = '/' as RawPath;

const ASCII = /^[\x00-\x7f]*$/;

/** `path`, an ordinary string, as raw bytes. What is raw already does not compile: its bytes would be encoded again. */
export function rawPath<T extends string>(path: T extends RawPath ? never : T): RawPath {
	return (ASCII.test(path) ? path : Buffer.from(path, 'utf8').toString('latin1')) as RawPath;
}

/** `text`, which was read as `latin1`, so that each of its characters is a byte. */
export function latin1Path(text: string): RawPath {
	return text as RawPath;
}

/** `path`, absolute or not, as a path below the root directory; `..` is taken out by name, whatever links there may be. */
export function rootPath(path: RawPath): RootPath {
	const parts: string[] = [];
	for (const part of partsOf(path)) {
		if (part === '..') parts.pop();
		else parts.push(part);
	}
	return parts.join('/') as RootPath;
}

/** `path` in the form that `node:fs` takes without changing a byte. */
export function fsPath(path: RawPath): string | Buffer {
	return ASCII.test(path) ? path : Buffer.from(path, 'latin1');
}

/** O_PATH of open(2), which Node has no name for: opens a file or directory without reading it. */
export const O_PATH = 0o10000000;

/** A path of what is open as `fd`, wherever it is now. */
export function fdPath(fd: number): RawPath {
	return latin1Path(`/proc/self/fd/${fd}`);
}

/** `path` for a message: UTF-8 where it is, control characters escaped. */
export function printablePath(path: RawPath): string {
	const text = Buffer.from(path, 'latin1').toString('utf8');
	return JSON.stringify(text).slice(1, -1);
}

/** The parts of `path` that name something: `..` is one, an empty part and `.` are none. */
export function partsOf(path: string): string[] {
	return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Whether `path` is `directory` or below it, by name. Both are in the same form, without `.` and `..`; `directory` is not the root. */
export function isWithin(path: string, directory: string): boolean {
	return path === directory || path.startsWith(`${directory}/`);
}

/** The directory that holds `path`; the root for the root itself. */
export function parentOf(path: RootPath): RootPath {
	const slash = path.lastIndexOf('/');
	return (slash < 0 ? '' : path.slice(0, slash)) as RootPath;
}

/** Whether `path`, or a directory above it but the root, is one of `paths`. */
export function isBelowAny(path: RootPath, paths: ReadonlySet<string>): boolean {
	for (let up = path; up !== ROOT; up = parentOf(up)) if (paths.has(up)) return true;
	return false;
}

/** The last part of `path`. */
export function nameOf(path: RawPath): string {
	return path.slice(path.lastIndexOf('/') + 1);
}

/** `name` below `directory`. `name` must be one path part. */
export function childOf(directory: RootPath, name: string): RootPath {
	return (directory === '' ? name : `${directory}/${name}`) as RootPath;
}

/** `path` below the host directory `root`, both raw. */
export function joinRaw(root: RawPath, path: RootPath): RawPath {
	return path === '' ? root : nameIn(root, path);
}

/** `name`, raw as a listing of `directory` has it, in the host directory `directory`. */
export function nameIn(directory: RawPath, name: string): RawPath {
	return `${directory}/${name}` as RawPath;
}
