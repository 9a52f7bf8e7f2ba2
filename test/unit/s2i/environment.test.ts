import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assembleEnvironment } from '../../../src/s2i/assemble-environment.js';
import {
	mergeEnvironment,
	parseAssignment,
	parseEnvironmentFile,
	parseEnvironmentOption,
	parseVariable,
	readImageEnvironment,
} from '../../../src/s2i/environment.js';

test.each([
	['A=1', { name: 'A', value: '1' }],
	[' A = b c ', { name: 'A', value: 'b c' }],
	['A=', { name: 'A', value: '' }],
	['A=b=c', { name: 'A', value: 'b=c' }],
	['A="quoted"', { name: 'A', value: '"quoted"' }],
])('-e %j is understood', (text, variable) => {
	expect(parseVariable(text)).toEqual(variable);
});

test.each(['', 'A', '=1', ' =1', 'A\0=1', 'A\nB=1', 'A=\0'])(
	'-e %j is a usage error that does not repeat the value',
	(text) => {
		expect(() => parseVariable(text)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
	},
);

test('the environment file has the grammar of S2I', () => {
	const text = '# comment\nA=1\r\n\nno equals sign\n # B=2\nC = "x" \nexport D=3\nA=last';
	expect(parseEnvironmentFile(text)).toEqual([
		{ name: 'A', value: '1' },
		{ name: '# B', value: '2' },
		{ name: 'C', value: '"x"' },
		{ name: 'D', value: '3' },
		{ name: 'A', value: 'last' },
	]);
});

test.each([
	['export A=1', { A: '1' }, /line 1: export is left out/],
	[' export\tA = 1', { A: '1' }, /line 1: export is left out/],
	['export=1', { export: '1' }, undefined],
	['export A', {}, /line 1: it has no =/],
	['A: 1', {}, /line 1: it has no =/],
	['A+=1', { 'A+': '1' }, /line 1: no shell can read .*"A\+"/],
	['set A=1', { 'set A': '1' }, /line 1: no shell can read/],
	['größe=1', { größe: '1' }, /line 1: no shell can read/],
	['x\n # a=1', { '# a': '1' }, /line 2: it is a variable, not a comment/],
	['A="b c"', { A: '"b c"' }, /line 1: the quotes .* part of A/],
	["A='b'", { A: "'b'" }, /line 1: the quotes/],
	['A="b', { A: '"b' }, undefined],
	['PATH=$PATH:/x', { PATH: '$PATH:/x' }, /line 1: PATH is not expanded/],
	['PATH=${PATH}:/x', { PATH: '${PATH}:/x' }, /line 1: PATH is not expanded/],
	['LOG=$LOGGER', { LOG: '$LOGGER' }, undefined],
	['\ufeffA=1\r\nB=ä\r\n\r\n', { A: '1', B: 'ä' }, undefined],
	['A=1\rB=2', { A: '1\rB=2' }, /line 1: A holds a carriage return/],
	['A=1\nB=1\nA=2', { A: '2', B: '1' }, /line 3: A stands in line 1 too/],
	['A=1\nA=1\nspring.url=x\nmy-var=y', { A: '1', 'spring.url': 'x', 'my-var': 'y' }, undefined],
] as const)('the environment file %j is %j, with a word about what is doubtful', (text, expected, warning) => {
	const told: string[] = [];
	const found = parseEnvironmentFile(text, (message) => told.push(message));
	expect(Object.fromEntries(found.map(({ name, value }) => [name, value]))).toEqual(expected);
	if (warning === undefined) expect(told).toEqual([]);
	else expect(told.join('\n')).toMatch(warning);
	const option: string[] = [];
	parseEnvironmentOption(text.replace(/^x\n #.*$/, 'x'), 'env', (message) => option.push(message));
	expect(option.length > 0).toBe(warning !== undefined);
});

test.each([
	['A=1\n=2', '.s2i/environment line 2: a variable has no name'],
	['A=\0', '.s2i/environment line 1: a variable holds a NUL byte, or its name a line break'],
	[`A=${'x'.repeat(70_000)}`, '.s2i/environment cannot be read: line 1 is longer than 64 KiB'],
	['A=1\n'.repeat(300_000), '.s2i/environment cannot be read: the file is longer than 1 MiB'],
])('a bad environment file is refused with its place (%#)', (text, message) => {
	expect(() => parseEnvironmentFile(text)).toThrow(
		expect.objectContaining({ code: 'SOURCE_INVALID', message }) as Error,
	);
});

test('the file of -E has comments of two kinds, also indented ones, and keeps its order', () => {
	const text = '# a=1\n  // b=2\nB=2\n\nnothing\n //c=3\nA = x \nB=3\nURL=http://h//p\n';
	expect(parseEnvironmentOption(text, 'env.txt')).toEqual([
		{ name: 'B', value: '2' },
		{ name: 'A', value: 'x' },
		{ name: 'B', value: '3' },
		{ name: 'URL', value: 'http://h//p' },
	]);
});

test('a bad line of -E is a usage error that names file and line, not the value', () => {
	expect(() => parseEnvironmentOption('A=1\n=secret', '/work/env.txt')).toThrow(
		expect.objectContaining({ code: 'USAGE', message: '/work/env.txt line 2: a variable has no name' }) as Error,
	);
});

test.each([
	['--build-env', '--build-env must be given as NAME=VALUE'],
	['--label', '--label must be given as NAME=VALUE'],
] as const)('%s needs an equals sign', (option, message) => {
	expect(parseAssignment(' a.b/c = x=y ', option)).toEqual({ name: 'a.b/c', value: 'x=y' });
	expect(() => parseAssignment('x', option)).toThrow(expect.objectContaining({ code: 'USAGE', message }) as Error);
});

test('a later value wins at the place of the first', () => {
	const lists = [readImageEnvironment(['A=1', 'B=2', 'C']), [{ name: 'A', value: '3' }], [{ name: 'D', value: '4' }]];
	expect(mergeEnvironment(...lists).map(({ name, value }) => `${name}=${value}`)).toEqual(['A=3', 'B=2', 'C=', 'D=4']);
});

test('merging gives every name once, and merging again changes nothing', () => {
	const variable = fc.record({ name: fc.constantFrom('A', 'B', '__proto__', 'constructor'), value: fc.string() });
	fc.assert(
		fc.property(fc.array(variable), fc.array(variable), (first, second) => {
			const merged = mergeEnvironment(first, second);
			expect(new Set(merged.map(({ name }) => name)).size).toBe(merged.length);
			expect(mergeEnvironment(merged, second)).toEqual(merged);
			for (const { name, value } of merged) {
				expect([...first, ...second].findLast((each) => each.name === name)?.value).toBe(value);
			}
		}),
	);
});

const input = {
	image: { PATH: '/bin' },
	environment: [],
	home: '/root',
	epoch: 1714972090,
	caBundle: undefined,
	host: {},
};

test('assemble gets the image, the build, and what only this run needs', () => {
	const environment = [{ name: 'A', value: 'build' }];
	expect(assembleEnvironment({ ...input, image: { PATH: '/bin', A: 'image' }, environment })).toEqual({
		PATH: '/bin',
		A: 'build',
		HOME: '/root',
		SOURCE_DATE_EPOCH: '1714972090',
		TZ: 'UTC',
	});
});

test('what the image or the build sets is not overridden', () => {
	const image = { HOME: '/opt/app-root/src', TZ: 'Europe/Prague', https_proxy: 'http://inner' };
	const environment = [{ name: 'SOURCE_DATE_EPOCH', value: '1' }];
	const host = { HTTPS_PROXY: 'http://outer', https_proxy: 'http://outer' };
	expect(assembleEnvironment({ ...input, image, environment, host })).toEqual({ ...image, SOURCE_DATE_EPOCH: '1' });
});

test('proxies of the host and the CA bundle are passed on, nothing else of the host is', () => {
	const host = { HTTP_PROXY: 'http://p', no_proxy: 'x', ALL_PROXY: '', CI_JOB_TOKEN: 'secret', NODE_OPTIONS: '--x' };
	const environment = assembleEnvironment({ ...input, host, caBundle: '/run/ca.pem' });
	expect(environment).toMatchObject({
		HTTP_PROXY: 'http://p',
		no_proxy: 'x',
		SSL_CERT_FILE: '/run/ca.pem',
		NODE_EXTRA_CA_CERTS: '/run/ca.pem',
		PIP_CERT: '/run/ca.pem',
		REQUESTS_CA_BUNDLE: '/run/ca.pem',
		CURL_CA_BUNDLE: '/run/ca.pem',
		GIT_SSL_CAINFO: '/run/ca.pem',
	});
	expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['ALL_PROXY']));
	expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['CI_JOB_TOKEN']));
	expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['NODE_OPTIONS']));
});

test('--build-env wins over all, and only assemble sees it', () => {
	const environment = [{ name: 'A', value: 'image' }];
	const buildEnvironment = [
		{ name: 'A', value: 'first' },
		{ name: 'A', value: 'build' },
		{ name: 'TZ', value: 'Asia/Tokyo' },
	];
	expect(assembleEnvironment({ ...input, environment, buildEnvironment })).toMatchObject({
		A: 'build',
		TZ: 'Asia/Tokyo',
	});
	expect(environment).toEqual([{ name: 'A', value: 'image' }]);
});

test('what is too much for a process is a usage error that shows no value', () => {
	const value = 'secret'.repeat(10_000);
	const buildEnvironment = Array.from({ length: 20 }, (_, index) => ({ name: `N${index}`, value }));
	const refused = expect.objectContaining({
		code: 'USAGE',
		message: expect.not.stringContaining('secret') as string,
		hint: expect.stringContaining('--build-env') as string,
	}) as Error;
	expect(() => assembleEnvironment({ ...input, buildEnvironment })).toThrow(refused);
	const environment = Array.from({ length: 2000 }, (_, index) => ({ name: `N${index}`, value: '' }));
	expect(() => assembleEnvironment({ ...input, environment })).toThrow(refused);
	expect(() => assembleEnvironment({ ...input, environment: environment.slice(0, 1990) })).not.toThrow();
});

test('a proxy of --build-env is the only one', () => {
	const buildEnvironment = [{ name: 'https_proxy', value: 'http://mine' }];
	const environment = assembleEnvironment({ ...input, buildEnvironment, host: { HTTPS_PROXY: 'http://host' } });
	expect(environment).toMatchObject({ https_proxy: 'http://mine' });
	expect(environment).not.toHaveProperty('HTTPS_PROXY');
});

test('assemble can tell an incremental build from a clean one, unless the user says otherwise', () => {
	expect(assembleEnvironment({ ...input, incremental: true })).toMatchObject({ S2I_INCREMENTAL: 'true' });
	expect(assembleEnvironment({ ...input, incremental: false })).not.toHaveProperty('S2I_INCREMENTAL');
	const environment = [{ name: 'S2I_INCREMENTAL', value: 'no' }];
	expect(assembleEnvironment({ ...input, incremental: true, environment })).toMatchObject({ S2I_INCREMENTAL: 'no' });
});
