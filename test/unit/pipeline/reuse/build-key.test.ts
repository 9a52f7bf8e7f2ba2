import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../../src/oci/digest.js';
import type { BuildRequest } from '../../../../src/pipeline/request.js';
import { buildKey, isPrivate, type KeyInputs } from '../../../../src/pipeline/reuse/build-key.js';
import { NO_LIMITS } from '../../../../src/sandbox/limits.js';

const digest = (text: string) => digestOf(Buffer.from(text));
const request: BuildRequest = {
	host: {
		store: '/store',
		isolation: 'auto',
		userns: 'auto',
		rootfs: 'auto',
		platform: { os: 'linux', architecture: 'amd64' },
		insecureRegistries: [],
		caBundle: undefined,
		dockerConfig: undefined,
		stdin: () => process.stdin,
		env: {},
	},
	source: {
		...{ location: '/src', ref: undefined, contextDir: undefined, exclude: undefined },
		...{ copy: false, keepSymlinks: false, ignoreSubmodules: false },
	},
	builder: { type: 'oci', path: '/builder' },
	pullPolicy: 'check',
	scripts: { scriptsUrl: undefined, destination: undefined, assembleUser: undefined, allowedUids: undefined },
	variables: { environment: [], environmentFile: undefined },
	assemble: {
		...{ buildEnvironment: [], secrets: [], injections: [], volumes: [] },
		...{ limits: NO_LIMITS, assembleTimeout: undefined },
	},
	incremental: {
		...{ enabled: false, previousImage: undefined, pullPolicy: 'check', removePrevious: false },
		...{ cacheFrom: [], cacheTo: [] },
	},
	runtime: undefined,
	image: { applicationName: undefined, tagName: 'team/app:1', description: undefined, labels: [] },
	output: {
		...{ targets: [], callback: undefined, saveTempDir: false, timestamp: undefined },
		...{ checkReproducible: false, reuse: undefined },
	},
};
const inputs: KeyInputs = {
	...{ builder: digest('builder'), runtime: undefined, source: 'aa', environment: [] },
	...{ scripts: {}, secrets: {}, sourceDateEpoch: undefined },
};
const key = (change: Partial<BuildRequest> = {}, read: Partial<KeyInputs> = {}) =>
	buildKey({ ...request, ...change }, { ...inputs, ...read });

const { host, assemble, scripts, image, incremental, output, source, variables } = request;
const limits = (change: object) => ({ assemble: { ...assemble, limits: { ...NO_LIMITS, ...change } } });
const runtime = { image: request.builder, pullPolicy: 'check', artifacts: [], user: undefined } as const;
const pair = { source: '/a', destination: 'b' };
const images = (paths: readonly (typeof pair)[]) => ({
	source: { ...source, images: [{ image: request.builder, pullPolicy: 'check' as const, paths }] },
});

/** Each is another image, or may be. */
const CHANGES: Readonly<Record<string, string>> = Object.fromEntries(
	Object.entries({
		builder: key({}, { builder: digest('other') }),
		runtime: key({ runtime }, { runtime: digest('runtime') }),
		'runtime digest': key({ runtime }, { runtime: digest('other runtime') }),
		'runtime artifacts': key({ runtime: { ...runtime, artifacts: [pair] } }, { runtime: digest('runtime') }),
		'runtime user': key({ runtime: { ...runtime, user: '1' } }, { runtime: digest('runtime') }),
		source: key({}, { source: 'bb' }),
		'an image as a source': key(images([]), { sourceImages: [digest('image')] }),
		'digest of an image as a source': key(images([]), { sourceImages: [digest('other image')] }),
		'what of it is copied': key(images([pair]), { sourceImages: [digest('image')] }),
		environment: key({}, { environment: [{ name: 'A', value: '1' }] }),
		'value of environment': key({}, { environment: [{ name: 'A', value: '2' }] }),
		'name of environment': key({}, { environment: [{ name: 'A1', value: '' }] }),
		'a script': key({}, { scripts: { assemble: digest('a') } }),
		'another script': key({}, { scripts: { run: digest('a') } }),
		'a secret': key({}, { secrets: { token: digest('a') } }),
		'value of a secret': key({}, { secrets: { token: digest('b') } }),
		SOURCE_DATE_EPOCH: key({}, { sourceDateEpoch: '1' }),
		'--timestamp': key({ output: { ...output, timestamp: 1 } }),
		platform: key({ host: { ...host, platform: { os: 'linux', architecture: 'arm64' } } }),
		'scripts URL': key({ scripts: { ...scripts, scriptsUrl: 'image:///s' } }),
		destination: key({ scripts: { ...scripts, destination: '/d' } }),
		'assemble user': key({ scripts: { ...scripts, assembleUser: '1' } }),
		'allowed UIDs': key({ scripts: { ...scripts, allowedUids: [{ first: 1, last: undefined }] } }),
		'build environment': key({ assemble: { ...assemble, buildEnvironment: [{ name: 'A', value: '1' }] } }),
		network: key(limits({ network: 'none' })),
		hosts: key(limits({ addHosts: [{ name: 'a', address: '1.1.1.1' }] })),
		'application name': key({ image: { ...image, applicationName: 'a' } }),
		description: key({ image: { ...image, description: 'a' } }),
		label: key({ image: { ...image, labels: [{ name: 'A', value: '1' }] } }),
		repository: key({ image: { ...image, tagName: 'team/other:1' } }),
		'port of the registry': key({ image: { ...image, tagName: 'team:1/app:1' } }),
	}),
);

describe('the key of a build', () => {
	test.each(Object.keys(CHANGES))('is another one with another %s', (name) => {
		const others = Object.entries(CHANGES).filter(([other]) => other !== name);
		expect([key(), ...others.map(([, other]) => other)]).not.toContain(CHANGES[name]);
	});

	test.each<[string, Partial<BuildRequest>]>([
		['a tag', { image: { ...image, tagName: 'team/app:2' } }],
		['a digest', { image: { ...image, tagName: 'team/app' } }],
		['targets', { output: { ...output, targets: [request.builder] } }],
		['a callback', { output: { ...output, callback: { url: 'http://a', format: 's2i' } } }],
		['where the source is', { source: { ...source, location: '/elsewhere', ref: 'v1', copy: true } }],
		['what -e is merged from', { variables: { ...variables, environmentFile: '/f' } }],
		['how long assemble may take', { assemble: { ...assemble, assembleTimeout: 1000 } }],
		['pull policies', { pullPolicy: 'never', incremental: { ...incremental, pullPolicy: 'never' } }],
		[
			'what of the host is used',
			{ host: { ...host, store: '/s', isolation: 'runc', rootfs: 'copy', env: { A: '1' } } },
		],
	])('is the same with another %s', (_name, change) => {
		expect(key(change)).toBe(key());
	});

	test('does not depend on the tag where the application has a name', () => {
		const named = (tagName: string) => key({ image: { ...image, applicationName: 'shop', tagName } });
		expect(named('oci:/home/a/image:1')).toBe(named('oci:/home/b/image:1'));
	});

	const name = fc.string({ minLength: 1 });
	const variables_ = fc.uniqueArray(fc.record({ name, value: fc.string() }), { selector: (each) => each.name });

	test('does not depend on the order of variables and labels', () => {
		const law = (list: readonly { name: string; value: string }[]) => {
			const both = [list, [...list].reverse()].map((each) => [
				key({}, { environment: each }),
				key({ image: { ...image, labels: each } }),
				key({ assemble: { ...assemble, buildEnvironment: each } }),
			]);
			expect(both[0]).toEqual(both[1]);
		};
		fc.assert(fc.property(variables_, law));
	});

	test('differs for any two environments that are not the same', () => {
		const law = (a: readonly { name: string; value: string }[], b: typeof a) => {
			const read = (list: typeof a) => new Map(list.map((each) => [each.name, each.value]));
			const [one, two] = [read(a), read(b)];
			const isSame = one.size === two.size && [...one].every(([each, value]) => two.get(each) === value);
			expect(key({}, { environment: a }) === key({}, { environment: b })).toBe(isSame);
			expect(key({ image: { ...image, labels: a } }) === key({ image: { ...image, labels: b } })).toBe(isSame);
		};
		fc.assert(fc.property(variables_, variables_, law));
	});

	test('is private where values that are in no image are in it', () => {
		const variable = (word: string) => ({ assemble: { ...assemble, buildEnvironment: [{ name: word, value: '1' }] } });
		const secret = { id: 'a', from: { variable: 'A' } };
		expect(isPrivate(request)).toBe(false);
		expect(isPrivate({ ...request, ...variable('BUILD_LOGLEVEL') })).toBe(false);
		expect(isPrivate({ ...request, ...variable('TOKEN') })).toBe(true);
		expect(isPrivate({ ...request, assemble: { ...assemble, secrets: [secret] } })).toBe(true);
	});
});
