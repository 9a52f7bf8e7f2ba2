import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inodeName } from '../../../src/inode-name.js';
import type { BuildContext } from '../../../src/pipeline/context.js';
import { hostFilesOf, hostsFile } from '../../../src/pipeline/prepare/host-files.js';
import { planMounts } from '../../../src/pipeline/prepare/requested-mounts.js';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';
import { temporaryDirectory } from '../../support/fs.js';

const IMAGE = { workingDir: '/opt/app', destination: '/tmp' };
/** A file that says it is empty, and has more than a secret may have. */
const CLAIMS_NOTHING = '/proc/kallsyms';
const NOTHING = { injections: [], volumes: [], secrets: [] };

/** An image that has these directories and files. */
function imageOf(directories: readonly string[], files: readonly string[] = []) {
	return (paths: readonly string[]) =>
		Promise.resolve(
			paths.map((path) => {
				const isDirectory = path === '/' || directories.includes(path);
				const type = isDirectory
					? ('directory' as const)
					: files.includes(path)
						? ('file' as const)
						: ('missing' as const);
				return { path, type, mode: 0o755 };
			}),
		);
}

const inodeOf = (path: string) => inodeName(statSync(path, { bigint: true }));
const inspect = imageOf(['/opt', '/opt/app', '/opt/app/etc', '/tmp', '/etc'], ['/etc/passwd', '/opt/app/etc/conf']);

function host() {
	const directory = temporaryDirectory();
	const at = (name: string) => join(directory.path, name);
	mkdirSync(at('secret/..2024/.git'), { recursive: true });
	writeFileSync(at('secret/..2024/password'), 'x');
	symlinkSync('..2024', at('secret/..data'));
	symlinkSync('..data/password', at('secret/password'));
	mkdirSync(at('secret/.git'));
	writeFileSync(at('file'), 'canary');
	return { at, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

const plan = (request: Partial<Parameters<typeof planMounts>[0]>) =>
	planMounts({ ...NOTHING, ...request }, { TOKEN: 'from env' }, IMAGE, inspect);
const inject = async (source: string, destination: string) =>
	(await plan({ injections: [{ source, destination }] })).map((bind) => [
		bind.destination,
		bind.type,
		bind.readOnly,
		bind.source.type === 'copy' ? bind.source.path : bind.source.type,
	]);

describe('an injection', () => {
	test('whose destination does not exist is seen there as a whole', async () => {
		using files = host();
		const secret = files.at('secret');
		expect(await inject(secret, '/opt/secret')).toEqual([['/opt/secret', 'directory', true, secret]]);
		expect(await inject(secret, 'relative')).toEqual([['/opt/app/relative', 'directory', true, secret]]);
		expect(await inject(files.at('file'), '/opt/other')).toEqual([['/opt/other', 'file', true, files.at('file')]]);
	});

	test.each(['', '.', '/opt/app', '../app/'])(
		'into a directory that exists (%j) adds its entries to it',
		async (to) => {
			using files = host();
			expect(await inject(files.at('secret'), to)).toEqual([
				['/opt/app/..2024', 'directory', true, files.at('secret/..2024')],
				['/opt/app/..data', 'directory', true, files.at('secret/..2024')],
				['/opt/app/password', 'file', true, files.at('secret/..2024/password')],
			]);
			expect(await inject(files.at('file'), to)).toEqual([['/opt/app/file', 'file', true, files.at('file')]]);
		},
	);

	test('merges directories that both have, and takes the place of files', async () => {
		using files = host();
		mkdirSync(files.at('tree/etc'), { recursive: true });
		for (const name of ['tree/etc/conf', 'tree/etc/new']) writeFileSync(files.at(name), '');
		expect((await inject(files.at('tree'), '')).map(([destination]) => destination)).toEqual([
			'/opt/app/etc/conf',
			'/opt/app/etc/new',
		]);
		expect(await inject(files.at('file'), '/etc/passwd')).toEqual([['/etc/passwd', 'file', true, files.at('file')]]);
	});

	test('with the name of a link keeps that name', async () => {
		using files = host();
		expect(await inject(files.at('secret/password'), '/tmp')).toEqual([
			['/tmp/password', 'file', true, files.at('secret/..2024/password')],
		]);
	});

	test('is refused when the parent of its destination is missing, before assemble runs', async () => {
		using files = host();
		await expect(inject(files.at('secret'), '/bad/dir')).rejects.toMatchObject({
			code: 'USAGE',
			message: expect.stringContaining('/bad is no directory of the builder image') as string,
		});
		await expect(inject(files.at('file'), 'a/b')).rejects.toMatchObject({ code: 'USAGE' });
	});

	test('is refused when its source is missing, unreadable or special, before its destination is looked at', async () => {
		using files = host();
		await expect(inject(files.at('none'), '/bad/dir')).rejects.toMatchObject({
			code: 'USAGE',
			message: `--inject: ${files.at('none')} does not exist`,
		});
		await expect(inject('/dev/null', '/tmp')).rejects.toMatchObject({ code: 'USAGE' });
	});

	test('is refused where types differ or a link of an entry leads out', async () => {
		using files = host();
		mkdirSync(files.at('tree/passwd'), { recursive: true });
		await expect(inject(files.at('tree'), '/etc')).rejects.toMatchObject({ code: 'USAGE' });
		await expect(inject(files.at('tree'), '/etc/passwd')).rejects.toMatchObject({ code: 'USAGE' });
		mkdirSync(files.at('out'));
		symlinkSync('../file', files.at('out/link'));
		await expect(inject(files.at('out'), '/etc')).rejects.toMatchObject({
			message: expect.stringContaining('leads out') as string,
		});
		expect(await inject(files.at('out'), '/opt/out')).toHaveLength(1);
	});

	test.each(['/proc/x', '/dev', '/sys/fs', '/tmp/src', '/tmp/src/x', '/tmp/scripts', '../../dev'])(
		'is refused at %s',
		async (destination) => {
			using files = host();
			const anywhere = (paths: readonly string[]) =>
				Promise.resolve(
					paths.map((path) => ({ path, type: path.endsWith('x') ? 'missing' : 'directory', mode: 0o755 }) as const),
				);
			const request = { ...NOTHING, injections: [{ source: files.at('file'), destination }] };
			await expect(planMounts(request, {}, IMAGE, anywhere)).rejects.toMatchObject({ code: 'USAGE' });
		},
	);
});

describe('a volume', () => {
	test('is the host’s directory itself, also where the image has none, writable unless it is not', async () => {
		using files = host();
		const volumes = [true, false].map((readOnly) => ({
			source: files.at('secret'),
			destination: `/no/such/${String(readOnly)}`,
			readOnly,
		}));
		expect(await plan({ volumes })).toEqual(
			volumes.map(({ destination, readOnly }) => ({
				source: { type: 'itself', path: files.at('secret'), inode: inodeOf(files.at('secret')) },
				destination,
				type: 'directory',
				readOnly,
			})),
		);
	});

	test('is refused over /tmp/src, over what is of another type, and where something else is', async () => {
		using files = host();
		const at = (...destinations: readonly string[]) =>
			plan({
				volumes: destinations.map((destination) => ({ source: files.at('secret'), destination, readOnly: false })),
			});
		for (const destination of ['/tmp', '/', '/etc/passwd', '/proc/1']) {
			await expect(at(destination)).rejects.toMatchObject({ code: 'USAGE' });
		}
		await expect(at('/data', '/data/.')).rejects.toMatchObject({ message: expect.stringContaining('/data') as string });
	});
});

describe('a secret', () => {
	const secretOf = async (from: { readonly file: string } | { readonly variable: string }, id = 'token') =>
		plan({ secrets: [{ id, from }] });

	test('is a file of assemble’s own with the bytes of a file or variable', async () => {
		using files = host();
		for (const [from, value] of [
			[{ file: files.at('file') }, 'canary'],
			[{ variable: 'TOKEN' }, 'from env'],
		] as const) {
			const source = { type: 'content', base64: Buffer.from(value).toString('base64'), mode: 0o400 };
			expect(await secretOf(from)).toEqual([
				{ source, destination: '/run/secrets/token', type: 'file', readOnly: true },
			]);
		}
	});

	test('is refused when it is missing, a directory, too large, or has an id that leads elsewhere', async () => {
		using files = host();
		writeFileSync(files.at('large'), Buffer.alloc(2 ** 20 + 1));
		for (const from of [
			{ variable: 'UNSET' },
			{ file: files.at('none') },
			{ file: files.at('secret') },
			{ file: files.at('large') },
		]) {
			await expect(secretOf(from)).rejects.toMatchObject({
				code: 'USAGE',
				message: expect.stringContaining('--secret id=token') as string,
			});
		}
		for (const id of ['..', '', 'a/b', '.']) {
			await expect(secretOf({ variable: 'TOKEN' }, id)).rejects.toMatchObject({ code: 'USAGE' });
		}
	});
});

test('a secret’s file is read no further than its limit, whatever size it claims', async () => {
	const secrets = [{ id: 'token', from: { file: CLAIMS_NOTHING } }];
	await expect(plan({ secrets })).rejects.toMatchObject({
		code: 'USAGE',
		message: `--secret id=token: ${CLAIMS_NOTHING} cannot be used: it is larger than 1 MiB`,
	});
});

describe('a link below a volume that scripts may write', () => {
	/** A volume in which an earlier build has left links to what is beside it. */
	function volume() {
		const files = host();
		mkdirSync(files.at('volume/deep'), { recursive: true });
		symlinkSync(files.at('secret'), files.at('volume/deep/link'));
		symlinkSync(files.at('secret/..2024/password'), files.at('volume/key'));
		symlinkSync('volume', files.at('named'));
		return files;
	}
	const volumeOf = (source: string, readOnly = false) => ({ source, destination: '/data', readOnly });

	test('leads neither injections, volumes, secrets nor certificates anywhere', async () => {
		using files = volume();
		const outer = volumeOf(files.at('named'));
		const requests: readonly Partial<Parameters<typeof planMounts>[0]>[] = [
			{ injections: [{ source: files.at('volume/deep/link'), destination: '/opt/x' }] },
			{ injections: [{ source: files.at('named/deep/link/password'), destination: '/opt/x' }] },
			{ injections: [{ source: files.at('volume/key'), destination: '/opt/x' }] },
			{ volumes: [{ ...volumeOf(files.at('volume/deep/link')), destination: '/sub' }] },
			{ secrets: [{ id: 'token', from: { file: files.at('named/key') } }] },
		];
		const refused = { code: 'USAGE', message: expect.stringContaining('leads through the link') as string };
		for (const request of requests) {
			const volumes = [outer, ...(request.volumes ?? [])];
			await expect(plan({ ...request, volumes })).rejects.toMatchObject(refused);
		}
		const context = contextOf(files.at('volume/key'), [outer], files.at('secret'));
		await expect(hostFilesOf(context)).rejects.toMatchObject(refused);
	});

	test('is followed when scripts can only read the volume, as is a link to the volume', async () => {
		using files = volume();
		const injections = [{ source: files.at('volume/key'), destination: '/opt/x' }];
		expect(await plan({ injections, volumes: [volumeOf(files.at('volume'), true)] })).toHaveLength(2);
		expect(await plan({ volumes: [volumeOf(files.at('named'))] })).toMatchObject([
			{ source: { type: 'itself', path: files.at('volume') } },
		]);
	});
});

function contextOf(caBundle: string, volumes: readonly object[], scratch: string): BuildContext {
	const assemble = { volumes, limits: NO_LIMITS };
	return { request: { host: { caBundle }, assemble }, session: { scratch } } as unknown as BuildContext;
}

describe('the certificates of the host', () => {
	test('are read once, before a script can put something else in their place', async () => {
		using files = host();
		mkdirSync(files.at('scratch'));
		const context = contextOf(files.at('file'), [], files.at('scratch'));
		const shown = async () => {
			const bind = (await hostFilesOf(context)).find(({ destination }) => destination === '/run/s2oci/ca-bundle.crt');
			return bind?.source.type === 'copy' ? readFileSync(bind.source.path, 'utf8') : undefined;
		};
		expect(await shown()).toBe('canary');
		rmSync(files.at('file'));
		symlinkSync(files.at('secret/..2024/password'), files.at('file'));
		expect(await shown()).toBe('canary');
	});
});

describe('the hosts file', () => {
	test('is the host’s own unless lines are added, which then win', async () => {
		using directory = temporaryDirectory();
		expect(await hostsFile(NO_LIMITS, directory.path)).toBe('/etc/hosts');
		const addHosts = [
			{ name: 'localhost', address: '10.0.0.7' },
			{ name: 'six.example', address: '2001:db8::7' },
		];
		const path = await hostsFile({ addHosts }, directory.path);
		chmodSync(path, 0o600);
		const text = readFileSync(path, 'utf8');
		expect(text.startsWith('10.0.0.7\tlocalhost\n2001:db8::7\tsix.example\n')).toBe(true);
		expect(text.endsWith(readFileSync('/etc/hosts', 'utf8'))).toBe(true);
	});
});
