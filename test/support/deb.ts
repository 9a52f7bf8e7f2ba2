import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** One file of a package; it belongs to `owner`:`owner`. */
export interface PackagedFile {
	readonly path: string;
	readonly text: string;
	readonly mode: number;
	readonly owner: number;
}

/** Makes the Debian package `<directory>/<name>.deb` of `files`, with `postinst` as its last step. Needs root and dpkg-deb. */
export function makeDeb(
	directory: string,
	name: string,
	{ files, postinst }: { readonly files: readonly PackagedFile[]; readonly postinst: string },
): string {
	const tree = join(directory, name);
	mkdirSync(join(tree, 'DEBIAN'), { recursive: true, mode: 0o755 });
	const control = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: test\n`;
	writeFileSync(join(tree, 'DEBIAN/control'), control);
	writeFileSync(join(tree, 'DEBIAN/postinst'), `#!/bin/sh\nset -e\n${postinst}\n`, { mode: 0o755 });
	for (const { path, text, mode, owner } of files) {
		const at = join(tree, path);
		mkdirSync(dirname(at), { recursive: true, mode: 0o755 });
		writeFileSync(at, text);
		chownSync(at, owner, owner);
		chmodSync(at, mode);
	}
	const file = join(directory, `${name}.deb`);
	execFileSync('dpkg-deb', ['--build', tree, file], { stdio: ['ignore', 'ignore', 'inherit'] });
	return file;
}
