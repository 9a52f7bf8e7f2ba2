import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuildResult } from '../../src/pipeline/result.js';
import { lacking, removeTree } from '../support/fs.js';
import { type HostUser, makeWorkspace, requireUser } from '../support/host.js';
import { skipFor } from '../support/needs.js';
import { TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const SCRIPT = fileURLToPath(new URL('../../scripts/package', import.meta.url));
const LIMIT = 60_000_000;

let directory = '';
let archive = '';
let path = '';
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), 's2oci-archive-'));
	chmodSync(directory, 0o755);
	archive = join(directory, 's2oci.tar.gz');
	execFileSync(SCRIPT, [archive], { stdio: ['ignore', 'ignore', 'inherit'] });
	path = withoutNode(join(directory, 'bin'));
});
afterAll(() => removeTree(directory));

/** Makes a directory with all programs of the host but Node.js. */
function withoutNode(folder: string): string {
	mkdirSync(folder);
	const folders = ['/usr/sbin', '/sbin', '/bin', '/usr/bin'];
	const programs = new Map(
		folders.flatMap((each) => readdirSync(each).map((name) => [name, join(each, name)] as const)),
	);
	for (const [name, target] of programs) {
		if (!/^(?:node|nodejs|npm|npx)$/.test(name)) symlinkSync(target, join(folder, name));
	}
	return folder;
}

interface Ran {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

interface Unpacked {
	readonly home: string;
	readonly program: string;
	/** Runs a program as the user, where there is no Node.js but that of the archive. */
	readonly run: (...words: readonly string[]) => Promise<Ran>;
}

/** Unpacks the archive as `user`, in a directory of that user. */
async function unpack(user?: HostUser): Promise<Unpacked> {
	const { home, temporary, mark } = makeWorkspace(user);
	const become =
		user === undefined ? [] : ['setpriv', '--reuid', String(user.uid), '--regid', String(user.gid), '--init-groups'];
	const env = { PATH: `${path}:${mark}`, HOME: home, TMPDIR: temporary };
	const run = (...words: readonly string[]): Promise<Ran> =>
		new Promise((resolve) => {
			const [program = '', ...rest] = [...become, ...words];
			execFile(program, rest, { cwd: home, env }, (error, stdout, stderr) =>
				resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
			);
		});
	expect(await run('sh', '-c', 'command -v node || command -v nodejs')).toMatchObject({ stdout: '' });
	expect(await run('tar', '-xzf', archive, '-C', home)).toEqual({ status: 0, stdout: '', stderr: '' });
	return { home, program: join(home, 's2oci/bin/s2oci'), run };
}

describe.each(['s2oci-plain', 's2oci-subuid'] as const)('as %s', (name) => {
	test('it builds where there is no Node.js', async (context) => {
		const user = requireUser(context, name);
		const { host } = await tinyRegistry();
		const { home, program, run } = await unpack(user);
		const result = join(home, 'result.json');
		const words = [TINY_APP, `${host}/builders/tiny`, `${host}/team/app:1`, '--result-file', result];
		const { status, stdout, stderr } = await run(program, 'build', ...words);
		expect({ status, stderr }).toMatchObject({ status: 0 });
		const { digest } = JSON.parse(readFileSync(result, 'utf8')) as BuildResult;
		expect(stdout).toBe(`${host}/team/app:1@${String(digest)}\n`);
		expect(readdirSync(home)).toContain(`s2oci-store-${user?.uid ?? 0}`);
	});
});

test('it says what it was built from, with the Node.js that it holds', async () => {
	const { program, run } = await unpack();
	const { stdout } = await run(program, 'version', '--json');
	const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
	const { node, commit: built } = JSON.parse(stdout) as { readonly node: string; readonly commit: string };
	expect(built.replace(/-dirty$/, '')).toBe(commit);
	expect(readFileSync('scripts/node.sh', 'utf8')).toContain(`NODE_VERSION=${node}\n`);
});

test('a link gives it another name', async () => {
	const { home, program, run } = await unpack();
	symlinkSync(program, join(home, 's2i'));
	expect((await run(join(home, 's2i'), 'version')).stdout).toMatch(/^s2i v1\.6\.0-s2oci-/);
});

test('where its programs cannot be started, it says so and what to do', async () => {
	const { home, program, run } = await unpack();
	const lib = join(home, 's2oci/lib');
	for (const name of readdirSync(lib).filter((each) => each.startsWith('ld-'))) chmodSync(join(lib, name), 0o644);
	const { status, stdout, stderr } = await run(program, 'version');
	expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
	expect(stderr).toMatch(
		/^error: \S+lib\/node cannot be started here: .*\nhint: Take the archive for this processor, .*\n$/,
	);
});

test('made twice, elsewhere and with other habits, it has the same bytes, and it is small', () => {
	const again = join(directory, 'again.tar.gz');
	const elsewhere = join(directory, 'elsewhere');
	mkdirSync(elsewhere);
	const script = 'umask 077 && exec "$0" "$1"';
	const env = { ...process.env, TMPDIR: elsewhere, LC_ALL: 'C', TZ: 'Asia/Tokyo' };
	execFileSync('sh', ['-c', script, SCRIPT, again], { cwd: elsewhere, env, stdio: ['ignore', 'ignore', 'inherit'] });
	const [first, second] = [archive, again].map((file) => createHash('sha256').update(readFileSync(file)).digest('hex'));
	expect(second).toBe(first);
	expect(statSync(archive).size).toBeLessThan(LIMIT);
});

test('it is one directory of root, without times, and without modules that are in its programs', () => {
	const rows = execFileSync('tar', ['-tvzf', archive, '--numeric-owner', '--utc'], { encoding: 'utf8' })
		.trim()
		.split('\n');
	expect(rows.filter((row) => !/^[-d]rw[-x]r-[-x]r-[-x] 0\/0 +\d+ 1970-01-01 00:00 s2oci\//.test(row))).toEqual([]);
	const names = rows.map((row) => row.replace(/^.* 00:00 s2oci\//, ''));
	expect(names).toEqual(
		expect.arrayContaining(['LICENSE', 'LICENSES', 'package/skeleton/Dockerfile', 'package/docs/doctor.md']),
	);
	const modules = names.filter((name) => name.startsWith('package/dist/') && name.endsWith('.js'));
	expect(modules.length).toBeLessThan(20);
	expect(names.filter((name) => name.startsWith('package/node_modules/') && /\.(?:md|cc|hh|ts)$/.test(name))).toEqual(
		[],
	);
});

test('it has the licence of all that is in it', () => {
	const text = execFileSync('tar', ['-xzOf', archive, 's2oci/LICENSES'], { encoding: 'utf8' });
	for (const name of ['undici', 'execa', 'valibot', 'tar-stream', 'streamx', 'yauzl', 're2js', 'zstddec', 'koffi']) {
		expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
	}
	expect(text).toMatch(/^Node\.js \d+/m);
	for (const name of ['libc6', 'libstdc\\+\\+6', 'libgcc-s1'])
		expect(text).toMatch(new RegExp(`^${name} \\S+, built from`, 'm'));
	expect(text).toContain('GNU LESSER GENERAL PUBLIC LICENSE');
});

test('it has the manual pages and completions that the command makes', async (context) => {
	skipFor(context, lacking('groff'));
	const { home, program, run } = await unpack();
	const share = join(home, 's2oci/share');
	const files = {
		bash: 'bash-completion/completions/s2oci',
		zsh: 'zsh/site-functions/_s2oci',
		fish: 'fish/vendor_completions.d/s2oci.fish',
	};
	for (const [shell, file] of Object.entries(files)) {
		expect(readFileSync(join(share, file), 'utf8')).toBe((await run(program, 'completion', shell)).stdout);
	}
	const pages = readdirSync(join(share, 'man/man1'));
	expect(pages).toEqual(expect.arrayContaining(['s2oci.1', 's2oci-build.1', 's2oci-version.1']));
	for (const page of pages) {
		const { status, stdout, stderr } = await run(
			'groff',
			'-man',
			'-Tutf8',
			'-ww',
			'-P-cbou',
			join(share, 'man/man1', page),
		);
		expect({ page, status, stderr }).toEqual({ page, status: 0, stderr: '' });
		expect(stdout).toContain('SYNOPSIS');
	}
});
