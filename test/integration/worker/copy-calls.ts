import { digestOf } from '../../../src/oci/digest.js';
import type { RootName, WorkerCalls } from '../../../src/protocol/worker-calls.js';
import { latin1Path } from '../../../src/root-path.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { tarDirectory, tarFile, tarSymlink } from '../../support/tar.js';
import { type Call, fillDirectory, type Owner, openCopySession } from './copy-session.js';
import { busyboxLayer, type User } from './session.js';

/** Root of the image. */
export const ROOT_USER: Owner = { uid: 0, gid: 0 };
/** The user that owns the application. */
export const APP: Owner = { uid: 1001, gid: 0 };
/** An image with an application, and links of all kinds. */
export const BASE: Buffer = busyboxLayer(
	tarFile('opt/app/old', 'old\n', { uid: 1001 }),
	tarDirectory('opt/app/merged', { uid: 1001, mode: 0o700 }),
	tarFile('opt/app/merged/kept', 'kept\n', { uid: 1001 }),
	tarSymlink('opt/link', 'app'),
	tarSymlink('opt/absolute', '/opt/app'),
	tarSymlink('opt/up', '../../../../..'),
	tarDirectory('usr'),
	tarDirectory('usr/lib'),
	tarSymlink('lib', 'usr/lib'),
);
/** Mounts the image of one layer. */
export function mount(root: RootName, tar: Buffer = BASE): Call {
	return ['mount', { root, diffIds: [digestOf(tar)] }];
}

/** Makes a root filesystem ready for a process. */
export function prepare(root: RootName): Call {
	return ['prepare', { root, placements: [], binds: [], workingDir: '/' }];
}

/** Copies `sources` of a host directory into the builder, as root unless `more` says otherwise. */
export function copyFiles(
	sources: readonly string[],
	destination: string,
	more: Partial<WorkerCalls['copyFiles']['request']> = {},
): (from: string) => Call {
	return (from) => [
		'copyFiles',
		{
			root: 'builder',
			from,
			sources: sources.map(latin1Path),
			destination,
			intoDirectory: false,
			extract: false,
			owner: ROOT_USER,
			chown: false,
			mode: undefined,
			...more,
		},
	];
}

/** The layer after `calls` in the base, without the base's own directories. */
export function layerOf(
	fill: (source: string) => void,
	...calls: readonly ((from: string) => Call)[]
): readonly string[] {
	using session = openCopySession('ourselves', fill);
	const made = calls.map((call) => call(session.source));
	const result = session.run([BASE], [mount('builder'), ...made, ...session.packing('builder', ROOT_USER)]);
	if (result.error !== undefined) throw new Error(JSON.stringify(result.error));
	return session.packed().filter((line) => !/^directory 755 \d+:0 (opt|opt\/app|usr|usr\/lib)\/$/.test(line));
}

/** What the calls failed with. */
export function failureOf(fill: (source: string) => void, call: (from: string) => Call): string {
	using session = openCopySession('ourselves', fill);
	const { error } = session.run([BASE], [mount('builder'), call(session.source)]);
	return `${error?.code ?? 'none'}: ${error?.message ?? ''}`;
}

/** Something that fills a directory. */
export function files(more: Readonly<Record<string, string | Buffer>>): (source: string) => void {
	return (source) => fillDirectory(source, more);
}

/** Kinds of namespaces, sandboxes and root filesystems. */
export const RUNGS: readonly (readonly [User, SandboxName, 'overlay' | 'copy'])[] = [
	['ourselves', 'runc', 'overlay'],
	['ourselves', 'bwrap', 'copy'],
	['s2oci-subuid', 'bwrap', 'overlay'],
	['s2oci-plain', 'bwrap', 'overlay'],
	['s2oci-plain', 'bwrap', 'copy'],
];
