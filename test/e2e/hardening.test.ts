import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build } from '../support/build.js';
import { makePodman } from '../support/engine.js';
import { CALL_ROWS, type Hardening, NEEDED, PROBE, probeScript, readHardening } from '../support/hardening.js';
import { makeWorkspace, requireUser, type UserName } from '../support/host.js';
import { skipFor } from '../support/needs.js';
import { arrange, CHROOT, rungOf, type TestRung } from '../support/rung.js';
import { makeSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

interface Column {
	readonly title: string;
	/** The engine that it must not be weaker than; it runs as the same user of the host. */
	readonly engine: string;
	readonly rung: TestRung;
}

const PODMAN: readonly (readonly [title: string, user: UserName])[] = [
	['podman, root', 'root'],
	['podman, rootless', 's2oci-subuid'],
];
const [ROOTFUL, ROOTLESS] = ['podman, root', 'podman, rootless'] as const;
const column = (title: string, engine: string, rung: TestRung): Column => ({ title, engine, rung });
const COLUMNS: readonly Column[] = [
	column('1 runc', ROOTFUL, rungOf('root', 'runc')),
	column('1 crun', ROOTFUL, rungOf('root', 'crun')),
	column('1 bwrap', ROOTFUL, rungOf('root', 'bwrap')),
	column('1 chroot', ROOTFUL, rungOf('root', 'chroot')),
	column('2 runc', ROOTLESS, rungOf('s2oci-subuid', 'runc')),
	column('2 bwrap', ROOTLESS, rungOf('s2oci-subuid', 'bwrap')),
	column('2 chroot', ROOTLESS, rungOf('s2oci-subuid', 'chroot')),
	column('3 bwrap', ROOTLESS, rungOf('s2oci-plain', 'bwrap')),
	column('3 chroot', ROOTLESS, rungOf('s2oci-plain', 'chroot')),
	column('4 runc', ROOTFUL, rungOf('root', 'runc', 'copy')),
	column('5', ROOTFUL, CHROOT),
];
const USERS = [
	['1001', 'The image’s user is 1001'],
	['0', 'The image’s user is root'],
] as const;
const DOCUMENT = fileURLToPath(new URL('../../docs/security.md', import.meta.url));
const [BEGIN, END] = ['<!-- hardening: made by test/e2e/hardening.test.ts -->', '<!-- end of hardening -->'];
/** Weaker than the engine, for the reasons that docs/security.md gives. */
const WEAKER: Readonly<Record<string, readonly string[]>> = {
	all: ['net namespace'],
	'5': ['pid namespace', 'ipc namespace', 'uts namespace', 'mnt namespace', 'cgroup namespace'],
};

const found = new Map<string, Map<string, Hardening>>();
beforeAll(() => {
	for (const [uid] of USERS) found.set(uid, new Map());
});

describe.each(USERS)('as user %s', (uid) => {
	const keep = (title: string, output: string) => {
		const hardening = readHardening(output);
		found.get(uid)?.set(title, hardening);
		return hardening;
	};

	test.for(PODMAN)('%s gives what it gives', ([title, user], context) => {
		skipFor(context, process.arch === 'x64' ? undefined : 'the probe is a program for x64');
		const workspace = makeWorkspace(requireUser(context, user));
		const podman = makePodman(context, workspace);
		const directory = makeSource({ 'probe.sh': probeScript() });
		writeFileSync(join(directory, 'probe'), PROBE, { mode: 0o755 });
		const mount = ['--volume', `${directory}:/probe:ro`, '--user', uid, '--env', 'probe=/probe/probe'];
		const hardening = keep(title, podman.run('run', '--rm', ...mount, 'local-builder', 'sh', '/probe/probe.sh'));
		expect(hardening.get('seccomp filter')).toBe('yes');
	});

	test.for(COLUMNS)('rung $title is no weaker', async ({ title, engine, rung }, context) => {
		skipFor(context, process.arch === 'x64' ? undefined : 'the probe is a program for x64');
		const { workspace, options, args } = arrange(rung, context);
		const source = makeSource({ '.s2i/bin/assemble': `#!/bin/sh\nprobe=/tmp/src/probe\n${probeScript()}` });
		writeFileSync(join(source, 'probe'), PROBE, { mode: 0o755 });
		const { stdout, stderr, result } = await build(
			workspace,
			[source, `oci:${tinyLayout()}:latest`, '--copy', '--assemble-user', uid, ...args],
			options,
		);
		expect(result.rung).toMatchObject(rung.expected);
		const ours = keep(title, stdout + stderr);
		expect([ours.get('seccomp filter'), ours.get('no_new_privs')]).toEqual(['yes', 'yes']);
		expect(CALL_ROWS.filter((row) => NEEDED.includes(row) && ours.get(row) !== 'allowed')).toEqual([]);
		const theirs = found.get(uid)?.get(engine);
		if (theirs !== undefined) expect(weaker(ours, theirs)).toEqual(expect.arrayContaining([]));
		if (theirs !== undefined) {
			const excused = [...(WEAKER['all'] ?? []), ...(WEAKER[title] ?? [])];
			expect(weaker(ours, theirs).filter((row) => !excused.includes(row))).toEqual([]);
		}
	});
});

afterAll(() => {
	const complete = [...found.values()].every((columns) => columns.size === PODMAN.length + COLUMNS.length);
	if (!complete) return;
	const text = readFileSync(DOCUMENT, 'utf8');
	const [before = '', rest = ''] = text.split(BEGIN);
	const made = `${before}${BEGIN}\n${USERS.map(([uid, title]) => table(title, found.get(uid) ?? new Map())).join('\n')}${END}${rest.split(END)[1] ?? ''}`;
	if (process.env['UPDATE_HARDENING'] === '1') writeFileSync(DOCUMENT, made);
	expect(withoutEngines(readFileSync(DOCUMENT, 'utf8')), 'run with UPDATE_HARDENING=1').toBe(withoutEngines(made));
});

/** What podman gives depends on its version. */
function withoutEngines(text: string): string {
	return text.replaceAll(/^(\|[^|\n]*)\|[^|\n]*\|[^|\n]*(?=\|)/gm, '$1');
}

/** The rows in which `ours` gives more than `theirs`. */
function weaker(ours: Hardening, theirs: Hardening): readonly string[] {
	return [...ours.keys()].filter((row) => rank(row, ours.get(row)) > rank(row, theirs.get(row)));
}

/** The lower the better. */
function rank(row: string, value = ''): number {
	if (NEEDED.includes(row)) return 0;
	if (/^\d+$/.test(value)) return Number(value);
	return ['refused', 'yes', 'own', 'masked', 'no /proc', 'read-only', 'none', '0-2'].includes(value) ? 0 : 1;
}

function table(title: string, columns: ReadonlyMap<string, Hardening>): string {
	const titles = [...PODMAN.map(([each]) => each), ...COLUMNS.map((each) => each.title)];
	const rows = [...(columns.get(ROOTFUL)?.keys() ?? [])];
	const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
	return [
		`**${title}**\n`,
		line([' ', ...titles]),
		line(titles.map(() => '---').concat('---')),
		...rows.map((row) => line([row, ...titles.map((each) => columns.get(each)?.get(row) ?? '')])),
		'',
	].join('\n');
}
