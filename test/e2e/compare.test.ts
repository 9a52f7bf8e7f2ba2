import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Comparison } from '../../src/pipeline/compare/compare.js';
import { build, s2oci, startS2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, until, type Workspace } from '../support/host.js';
import { arrange, CHROOT } from '../support/rung.js';
import { makeSource, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const FORMAT = ['-q', '--format', 'json'];
/** Serves a page that is made for each request: a counter, times, pids and random ids are in it, and the logs. */
const NOISY = `#!/bin/sh
mkdir -p /tmp/www/cgi-bin; cd /tmp/www
cat >cgi-bin/page <<'END'
#!/bin/sh
n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >/tmp/n
printf 'Content-Type: text/plain\\r\\nX-Id: %s\\r\\n\\r\\nvisit %s at %s by %s, id %s\\n' "$(cat /proc/sys/kernel/random/uuid)" $n "$(date)" $$ "$(cat /proc/sys/kernel/random/uuid)"
END
chmod 755 cgi-bin/page; echo '<a href=/cgi-bin/page>visit</a>' >index.html
mkdir health; cp index.html health; printf '#!/bin/sh\\n' >/dev/null
echo "$(date) [$$] session $(cat /proc/sys/kernel/random/uuid) begins"
(sleep 0.0$(($$ % 3)); echo one) & (echo two) &
exec httpd -f -p 8080 -h /tmp/www
`;
const PAGE = '<p>good morning</p>';
const serve = (more: string, { page = PAGE, port = 8080 } = {}): string =>
	`#!/bin/sh\n${more}\nmkdir -p /tmp/www; echo '${page}' >/tmp/www/index.html; exec httpd -f -p ${port} -h /tmp/www\n`;
const END_ON_TERM = "trap 'exit 0' TERM; mkdir -p /tmp/www; echo ready; httpd -f -p 8080 -h /tmp/www & wait\n";

/** The pairs of applications that differ, and where that has to be found. */
const PAIRS: readonly (readonly [name: string, a: string, b: string, field: RegExp])[] = [
	[
		'a page that differs in one byte',
		serve(''),
		serve('', { page: '<p>good mornin9</p>' }),
		/^GET \/ on port 8080: body$/,
	],
	['another port', serve(''), serve('', { port: 8081 }), /^listening ports$/],
	['an extra port', serve(''), serve('(nc -l -p 9090 >/dev/null) &'), /^listening ports$/],
	['stderr instead of stdout', serve('echo hello'), serve('echo hello >&2'), /^std/],
	['a file elsewhere', serve('echo 1 >/opt/app-root/src/a'), serve('echo 1 >/opt/app-root/src/b'), /^files$/],
	['exit status 0 instead of 3', '#!/bin/sh\nexit 3\n', '#!/bin/sh\nexit 0\n', /^ends by itself$/],
	[
		'SIGTERM that is ignored',
		`#!/bin/sh\n${END_ON_TERM}`,
		`#!/bin/sh\n${END_ON_TERM}`.replace("'exit 0'", "''"),
		/^SIGTERM$/,
	],
	['an application that does not start', serve(''), '#!/bin/sh\necho broken >&2; exit 127\n', /^ends by itself$/],
];

/** Builds an application whose run is `script`, as the layout `name`. */
async function application(
	workspace: Workspace,
	name: string,
	script: string,
	args: readonly string[] = [],
): Promise<string> {
	const image = `oci:${workspace.root}/${name}:1`;
	await build(workspace, [
		makeSource({ '.s2i/bin/run': script, 'x.txt': 'x\n' }),
		`oci:${tinyLayout()}:latest`,
		image,
		...args,
	]);
	return image;
}

async function compare(
	workspace: Workspace,
	args: readonly string[],
	options: Parameters<typeof s2oci>[2] = {},
): Promise<Comparison & { readonly status: number | null }> {
	const { status, stdout, stderr } = await s2oci(workspace, ['compare', ...FORMAT, ...args], options);
	if (stdout === '') throw new Error(`s2oci compare ended with ${String(status)}: ${stderr}`);
	return { ...(JSON.parse(stdout) as Comparison), status };
}

async function comparePair(workspace: Workspace, a: string, b: string): ReturnType<typeof compare> {
	return compare(workspace, [await application(workspace, 'a', a), await application(workspace, 'b', b)]);
}

/** The processes of this host whose command line is `words`, NUL between them. */
function processesNamed(words: string): readonly string[] {
	return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(words));
}

function commandLine(pid: string): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
	} catch {
		return '';
	}
}

function fieldsOf({ differences }: Comparison): readonly string[] {
	return differences.map(({ field }) => field);
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('s2oci compare by %s', (name) => {
	test('finds an image the same as itself, whatever it prints, and names the noise', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const image = await application(workspace, 'noisy', NOISY);
		const found = await compare(workspace, [image, image]);
		expect({ verdict: found.verdict, differences: found.differences, status: found.status }).toEqual({
			verdict: 'same',
			differences: [],
			status: 0,
		});
		expect(found.network).toBe('own');
		expect(found.masked.map(({ field }) => field)).toContain('stdout');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('finds a page that differs', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const found = await comparePair(workspace, serve(''), serve('', { page: '<p>good evening</p>' }));
		expect({ verdict: found.verdict, status: found.status }).toEqual({ verdict: 'differs', status: 8 });
		expect(fieldsOf(found)).toEqual(['GET / on port 8080: body']);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test.for(PAIRS)('finds %s', async ([, a, b, field]) => {
	const found = await comparePair(makeWorkspace(), a, b);
	expect({ verdict: found.verdict, status: found.status }).toEqual({ verdict: 'differs', status: 8 });
	expect(fieldsOf(found)).toContainEqual(expect.stringMatching(field));
});

test('finds another variable and another user, and leaves out what it is told to', async () => {
	const workspace = makeWorkspace();
	const plain = await application(workspace, 'plain', serve(''));
	const other = await application(workspace, 'other', serve('echo "$MODE"'), ['-e', 'MODE=debug']);
	const found = await compare(workspace, [plain, other]);
	expect(found.verdict).toBe('differs');
	expect(fieldsOf(found)).toContain('config: Env MODE');
	const ignoring = await compare(workspace, ['--ignore', 'MODE', '--ignore', 'stdout', plain, other]);
	expect({ verdict: ignoring.verdict, status: ignoring.status }).toEqual({ verdict: 'same', status: 0 });
	expect(ignoring.ignored).toContain('config: Env MODE');
});

test('runs both as the user it is told, in the group of root', async () => {
	const workspace = makeWorkspace();
	const image = await application(workspace, 'who', '#!/bin/sh\nexit $(($(id -u) % 100 + $(id -g)))\n');
	const expecting = await application(workspace, 'expecting', '#!/bin/sh\nexit 42\n');
	const found = await compare(workspace, ['--user', '1000660042', image, expecting]);
	expect({ verdict: found.verdict, differences: found.differences }).toEqual({ verdict: 'same', differences: [] });
});

test('says on rung 5 that both run on the network of the host, and finds the same there', async (context) => {
	const { workspace, options, args } = arrange(CHROOT, context);
	const script = serve('').replaceAll('8080', '"$PORT"');
	const [same, other] = [
		await application(workspace, 'a', script),
		await application(workspace, 'b', script.replace('morning', 'evening')),
	];
	const shared = await s2oci(workspace, ['compare', '--format', 'json', ...args, same, same], options);
	expect(shared.stderr).toContain('no network namespace');
	const { verdict, differences, network } = JSON.parse(shared.stdout) as Comparison;
	expect({ verdict, differences, network }).toEqual({ verdict: 'same', differences: [], network: 'host' });
	expect(shared.status).toBe(0);
	const found = await compare(workspace, [...args, same, other], options);
	expect(fieldsOf(found)).toEqual([expect.stringMatching(/^GET \/ on port \d+: body$/)]);
	expect(await leftovers(workspace)).toEqual([]);
});

test.each(['SIGKILL', 'SIGINT'] as const)('leaves nothing when %s ends it', async (signal) => {
	const workspace = makeWorkspace();
	const image = await application(workspace, 'long', '#!/bin/sh\nsleep 300\n');
	const running = startS2oci(workspace, ['compare', image, image]);
	await until('both', () => processesNamed('sleep\u0000300').length >= 2);
	running.child.kill(signal);
	await running.finished;
	await until('the end of both', () => processesNamed('sleep\u0000300').length === 0);
	if (signal === 'SIGINT') expect(await leftovers(workspace)).toEqual([]);
});

test('gives a hostile server neither time nor memory', async () => {
	const workspace = makeWorkspace();
	const flood = await application(
		workspace,
		'flood',
		`#!/bin/sh\nwhile :; do { printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; yes; } | nc -l -p 8080; done\n`,
	);
	const mute = await application(workspace, 'mute', '#!/bin/sh\nexec nc -lk -p 8080 -e sleep 60\n');
	const found = await compare(workspace, [flood, mute]);
	expect(found.verdict).toBe('differs');
	expect(fieldsOf(found)).toContain('GET / on port 8080: status');
});
