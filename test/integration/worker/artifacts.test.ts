import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import type { WorkerCalls } from '../../../src/protocol/worker-calls.js';
import type { SandboxName } from '../../../src/sandbox/sandboxes.js';
import { lacking, removeTree } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { tarFile } from '../../support/tar.js';
import { busyboxLayer, type User, withoutUser } from './session.js';

const DRIVER = fileURLToPath(new URL('./artifacts.mjs', import.meta.url));
const LAYER = busyboxLayer(tarFile('opt/app/kept', 'kept\n', { uid: 1001, mtime: 1_700_000_000 }));
const TAR = '/bin/busybox tar';
const CASES: readonly (readonly [User, SandboxName])[] = [
	['ourselves', 'runc'],
	['ourselves', 'bwrap'],
	['s2oci-subuid', 'runc'],
	['s2oci-plain', 'bwrap'],
];

interface Outcome<T> {
	readonly value?: T;
	readonly error?: { readonly code?: string; readonly message: string };
}

interface Saved extends Outcome<WorkerCalls['saveArtifacts']['response']> {
	/** What is in the directory; undefined when there is none. */
	readonly files?: readonly string[];
	readonly restored?: Outcome<WorkerCalls['restoreArtifacts']['response']>;
	readonly again?: readonly string[];
}

interface Script {
	readonly script: string;
	readonly sandboxes?: readonly SandboxName[];
	readonly pack?: boolean;
}

interface Result {
	readonly saved: readonly Saved[];
	readonly stderr: string;
	readonly left: readonly string[];
}

/** Runs scripts one after the other in one root filesystem of busybox, as `user`. */
function save(user: User, sandbox: SandboxName, ...scripts: readonly Script[]): Result {
	const store = mkdtempSync(join(tmpdir(), 's2oci-artifacts-'));
	onTestFinished(() => removeTree(store));
	const [blob, bytes] = [join(store, 'blob'), gzipSync(LAYER)];
	writeFileSync(blob, bytes);
	chmodSync(blob, 0o644);
	const layer = {
		diffId: digestOf(LAYER),
		blob: { digest: digestOf(bytes), size: bytes.length },
		compression: 'gzip',
	};
	const become = user === 'ourselves' ? [] : becoming(user, store);
	const plan = { store, blob, layer, scripts: scripts.map((each) => ({ sandboxes: [sandbox], ...each })) };
	const [program, ...args] = [...become, process.execPath, DRIVER];
	const { stdout, stderr } = spawnSync(program, args, {
		input: JSON.stringify(plan),
		env: { ...process.env, PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
		cwd: '/',
	});
	if (stdout.length === 0) throw new Error(stderr.toString());
	return JSON.parse(stdout.toString()) as Result;
}

function becoming(user: User, store: string): readonly string[] {
	const line = readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.find((each) => each.startsWith(`${user}:`));
	const [, , uid = '', gid = ''] = line?.split(':') ?? [];
	chownSync(store, Number(uid), Number(gid));
	return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups'];
}

/** How a script ended, or what was wrong with what it wrote, whether it was stopped for it or not. */
function told({ value, error }: Saved): string {
	const problem = error?.message ?? value?.problem;
	return problem ?? `code ${value?.exit.type === 'code' ? value.exit.code : 'none'}`;
}

describe.each(CASES)('artifacts saved by %s in %s', (user, sandbox) => {
	const reason = withoutUser(user) ?? lacking(sandbox, 'unshare', 'setpriv');

	test('are what the script archives, and its stderr is passed on', (context) => {
		skipFor(context, reason);
		const script = `echo saving >&2; mkdir -p m/d && echo x > m/d/f && chmod 664 m/d/f && ln -s /bin/sh m/l && ${TAR} -cf - kept m`;
		const { saved, stderr, left } = save(user, sandbox, { script });
		expect(saved[0]?.error).toBeUndefined();
		expect(saved[0]?.value).toMatchObject({ exit: { type: 'code', code: 0 }, entries: 5, notices: [] });
		expect(saved[0]?.files).toEqual(['644 kept kept\n', '755 m/', '755 m/d/', '664 m/d/f x\n', 'link m/l']);
		expect([stderr, left]).toEqual(['saving\n', []]);
	});

	test('are packed to the same bytes each time, and restored from them', (context) => {
		skipFor(context, reason);
		const one = { script: `${TAR} -cf - kept`, pack: true };
		const zipped = { script: `${TAR} -cf - ./kept | /bin/busybox gzip`, pack: true };
		const [first, second] = save(user, sandbox, one, zipped).saved;
		expect(first?.value?.packed?.digest).toMatch(/^sha256:/);
		expect(second?.value?.packed).toEqual(first?.value?.packed);
		expect(second?.restored?.value).toMatchObject({ entries: 1, bytes: 5 });
		expect(second?.again).toEqual(first?.files);
	});

	test('are none when the script fails, prints nothing or prints text', (context) => {
		skipFor(context, reason);
		const { saved, left } = save(
			user,
			sandbox,
			{ script: 'exit 0' },
			{ script: `${TAR} -cf - kept; exit 3` },
			{ script: `${TAR} -cf - kept | head -c 700` },
			{ script: `echo 'Saving artifacts'; ${TAR} -cf - kept` },
			{ script: 'while :; do echo noise; done' },
			{ script: `${TAR} -cf - kept` },
		);
		expect(saved.map(({ files }) => files?.length)).toEqual([undefined, 1, undefined, undefined, undefined, 1]);
		expect(saved.map(told)).toEqual([
			'code 0',
			'code 3',
			expect.stringContaining('the artifacts cannot be used: '),
			expect.stringContaining('they begin with text: "Saving artifacts"'),
			expect.stringContaining('they begin with text: "noise"'),
			'code 0',
		]);
		expect(left).toEqual([]);
	});
});
