import type { Field, Transcript } from './transcript.js';

const DPKG = '/var/lib/dpkg/status';
const APK = '/lib/apk/db/installed';
const RPM = ['/var/lib/rpm/rpmdb.sqlite', '/var/lib/rpm/Packages', '/usr/lib/sysimage/rpm/rpmdb.sqlite'] as const;

/** The files that say what is installed. */
export const PACKAGE_FILES: readonly string[] = [DPKG, APK, ...RPM];

/** Text of a file of the image, where it could be read. */
type TextOf = (path: string) => string | undefined;
type TypeOf = (path: string) => 'file' | 'directory' | 'other' | 'missing' | undefined;

/** A field for each package that dpkg or apk has installed. What cannot be read, as the database of rpm, is named and nothing more. */
export function installedPackages(textOf: TextOf, typeOf: TypeOf): Transcript {
	const found = [...dpkgPackages(textOf(DPKG) ?? ''), ...apkPackages(textOf(APK) ?? '')];
	const unread = PACKAGE_FILES.filter(
		(path) => typeOf(path) === 'file' && (!isText(path) || textOf(path) === undefined),
	);
	return [
		...found.map(([name, version]): Field => ({ kind: 'package', name: `package ${name}`, value: word(version) })),
		...unread.map((path): Field => ({ kind: 'package', name: `packages in ${path}`, value: { type: 'unread' } })),
	];
}

function isText(path: string): boolean {
	return path === DPKG || path === APK;
}

function word(text: string): Field['value'] {
	return { type: 'word', word: text };
}

function dpkgPackages(status: string): readonly (readonly [string, string])[] {
	return status.split('\n\n').flatMap((stanza) => {
		const [name, version] = [/^Package: (.+)$/m.exec(stanza)?.[1], /^Version: (.+)$/m.exec(stanza)?.[1]];
		const isInstalled = /^Status: \S+ \S+ installed$/m.test(stanza);
		return name === undefined || version === undefined || !isInstalled ? [] : [[name, version] as const];
	});
}

function apkPackages(installed: string): readonly (readonly [string, string])[] {
	return installed.split('\n\n').flatMap((stanza) => {
		const [name, version] = [/^P:(.+)$/m.exec(stanza)?.[1], /^V:(.+)$/m.exec(stanza)?.[1]];
		return name === undefined || version === undefined ? [] : [[name, version] as const];
	});
}
