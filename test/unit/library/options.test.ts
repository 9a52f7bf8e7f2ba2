import { describe, expect, test } from 'vitest';
import { readBuildRequest } from '../../../src/cli/build-request.js';
import { command } from '../../../src/cli/commands/build.js';
import type { BuildOptions } from '../../../src/library/options.js';
import { readOptions } from '../../../src/library/read-options.js';
import type { BuildRequest } from '../../../src/pipeline/request.js';
import { argumentsOf } from '../cli/io.js';

const env = { HOME: '/home/a', SSL_CERT_FILE: '/etc/authorities.pem' };
const least: BuildOptions = { source: '.', builder: 'reg.example/builder', targets: ['reg.example/app:1'], env };

/** What both say, but for what is read from standard input. */
function comparable(request: BuildRequest): object {
	return { ...request, host: { ...request.host, stdin: undefined } };
}

function read(options: BuildOptions): object {
	return comparable(readOptions(options, () => undefined).request);
}

async function typed(...words: readonly string[]): Promise<object> {
	const reading = { env, program: 's2oci', emit: () => undefined } as const;
	return comparable(readBuildRequest(await argumentsOf(command, words, reading), reading));
}

describe('what a build is told', () => {
	test('is what the command line says with the same words', async () => {
		expect(read(least)).toEqual(await typed('.', 'reg.example/builder', 'reg.example/app:1'));
	});

	test('is that of the option, for each', async () => {
		const words = [
			...[
				'.',
				'reg.example/builder',
				'reg.example/app:1',
				'--output',
				'oci:out:1',
				'--ref',
				'main',
				'--context-dir',
				'web',
			],
			...['--copy', '--env', 'A=1', '--build-env', 'B=2', '--label', 'c=3', '--scripts-url', 'https://reg.example/s'],
			...['--secret', 'id=token,env=TOKEN', '--inject', '/in:there', '--volume', '/cache:/cache:ro', '--timeout', '5s'],
			...[
				'--memory',
				'512m',
				'--network',
				'none',
				'--runtime-image',
				'reg.example/run',
				'--runtime-artifact',
				'/out:.',
			],
			...['--cache-from', 'oci:cache:1', '--cache-to', 'oci:cache:1', '--insecure-registry', 'reg.example'],
			...['--platform', 'linux/arm64', '--ca-bundle', 'ca.pem', '--dockercfg-path', 'config.json', '--store', 'store'],
			...['--isolation', 'runc', '--userns', 'full', '--rootfs', 'copy', '--timestamp', '7', '--check-reproducible'],
			...['--reuse', 'never', '--pull-policy', 'always'],
		];
		const cache = { type: 'oci', path: 'cache', ref: '1' } as const;
		const options: BuildOptions = {
			...least,
			source: { location: '.', ref: 'main', contextDir: 'web', copy: true },
			targets: ['reg.example/app:1', { type: 'oci', path: 'out', ref: '1' }],
			environment: { A: '1' },
			buildEnvironment: { B: '2' },
			labels: { c: '3' },
			scriptsUrl: 'https://reg.example/s',
			secrets: [{ id: 'token', from: { variable: 'TOKEN' } }],
			injections: [{ source: '/in', destination: 'there' }],
			volumes: [{ source: '/cache', destination: '/cache', readOnly: true }],
			assembleTimeout: 5000,
			limits: { memory: 512 * 2 ** 20, network: 'none' },
			runtime: { image: 'reg.example/run', artifacts: [{ source: '/out', destination: '' }] },
			incremental: { cacheFrom: [cache], cacheTo: [cache] },
			insecureRegistries: ['reg.example'],
			platform: { os: 'linux', architecture: 'arm64' },
			...{ caBundle: 'ca.pem', dockerConfig: 'config.json', store: 'store' },
			...{ isolation: 'runc', userns: 'full', rootfs: 'copy', timestamp: 7, checkReproducible: true },
			...{ reuse: 'never', pullPolicy: 'always' },
		};
		expect(read(options)).toEqual(await typed(...words));
	});

	test('keeps the value of a variable as it is', () => {
		expect(read({ ...least, environment: { A: ' b=c ' } })).toMatchObject({
			variables: { environment: [{ name: 'A', value: ' b=c ' }] },
		});
	});

	test.each([
		[{ environment: { 'A=B': '' } }, 'USAGE'],
		[{ environment: { A: 'a\0b' } }, 'USAGE'],
		[{ labels: { '': 'x' } }, 'USAGE'],
		[{ scriptsUrl: 'ftp://reg.example/s' }, 'USAGE'],
		[{ targets: ['Not A Name'] }, 'REFERENCE_INVALID'],
		[{ isolation: 'none', rootfs: 'overlay' }, 'USAGE'],
	] as const)('is refused where a command line would be: %j', (more, code) => {
		expect(() => read({ ...least, ...more })).toThrow(expect.objectContaining({ code }));
	});
});
