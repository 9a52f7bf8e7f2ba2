import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../../../src/pipeline/compare/describe-image.js';
import { exposedPorts } from '../../../../src/pipeline/compare/exposed.js';
import { installedPackages } from '../../../../src/pipeline/compare/packages.js';
import type { Field, Kind, Value } from '../../../../src/pipeline/compare/transcript.js';
import { judge } from '../../../../src/pipeline/compare/verdict.js';
import { listeningIn } from '../../../../src/worker/socket-table.js';
import { testImage } from '../../../support/images.js';

const OPTIONS = { tolerate: { startup: 3, memory: 1.5 }, ignore: [] };
const word = (kind: Kind, name: string, text: string): Field => ({ kind, name, value: { type: 'word', word: text } });
const figure = (amount: number, unit: 'ms' | 'bytes'): Value => ({ type: 'figure', amount, unit });

describe('a verdict', () => {
	test('has its differences in order of weight', () => {
		const run = (text: string) => [
			word('image', 'config: User', text),
			word('header', 'h', text),
			word('start', 's', text),
		];
		const { verdict, differences } = judge([run('a')], [run('b')], OPTIONS);
		expect({ verdict, fields: differences.map(({ field }) => field) }).toEqual({
			verdict: 'differs',
			fields: ['s', 'h', 'config: User'],
		});
	});

	test('cannot tell when what decides is not the same in two runs, and may be the same', () => {
		const runs = [[word('status', 's', '200')], [word('status', 's', '503')]];
		expect(judge(runs, runs, OPTIONS)).toMatchObject({ verdict: 'cannot tell', incomparable: ['s'] });
		const other = [[word('status', 's', '404')], [word('status', 's', '404')]];
		expect(judge(runs, other, OPTIONS).differences).toEqual([
			{ kind: 'status', field: 's', a: '200 or 503', b: '404' },
		]);
	});

	test('finds what is on one side only', () => {
		expect(judge([[word('image', 'e', 'x')]], [[]], OPTIONS).differences).toEqual([
			{ kind: 'image', field: 'e', a: 'x', b: 'nothing' },
		]);
	});

	test('lists packages and labels, which decide nothing', () => {
		const { verdict, underneath } = judge([[word('package', 'p', '1')]], [[word('package', 'p', '2')]], OPTIONS);
		expect({ verdict, underneath }).toEqual({
			verdict: 'same',
			underneath: [{ kind: 'package', field: 'p', a: '1', b: '2' }],
		});
	});

	test.each([
		[1000, 2900, 'ms', 'same'],
		[1000, 3100, 'ms', 'differs'],
		[100, 1000, 'ms', 'same'],
		[5000, 1000, 'ms', 'same'],
		[100e6, 140e6, 'bytes', 'same'],
		[100e6, 160e6, 'bytes', 'differs'],
	] as const)('takes %d and %d %s for %s', (a, b, unit, verdict) => {
		const run = (amount: number): readonly Field[] => [{ kind: 'figure', name: 'f', value: figure(amount, unit) }];
		expect(judge([run(a)], [run(b)], OPTIONS).verdict).toBe(verdict);
	});
});

describe('an image', () => {
	test('has the ports of EXPOSE and of the label of its services', () => {
		const config = {
			ExposedPorts: { '8080/tcp': {}, '53/udp': {}, x: {}, '99999': {} },
			Labels: { 'io.openshift.expose-services': '8443:https, 8080:http' },
		};
		expect(exposedPorts(config).ports).toEqual([8080, 8443]);
	});

	test('has a field for each variable, and none for what says which build it was', () => {
		const config = {
			User: '1001',
			Env: ['A=1=2'],
			Labels: { 'io.s2oci.build': 'x', version: '1' },
			Healthcheck: { Test: ['NONE'] },
		};
		const fields = describeConfig(testImage({ config: { config } }).image);
		const shown = Object.fromEntries(fields.map(({ name, value }) => [name, value.type === 'word' ? value.word : '']));
		expect(shown).toMatchObject({
			'config: User': '1001',
			'config: Env A': '1=2',
			'config: Labels version': '1',
			'config: Healthcheck': '{"Test":["NONE"]}',
			'config: StopSignal': 'nothing',
		});
		expect(shown).not.toHaveProperty('config: Labels io.s2oci.build');
	});

	test('has the packages of dpkg and apk; those of rpm are named as unread', () => {
		const files: Readonly<Record<string, string>> = {
			'/var/lib/dpkg/status':
				'Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n',
			'/lib/apk/db/installed': 'P:musl\nV:1.2.5-r0\n\n',
		};
		const typeOf = (path: string) => (path in files || path === '/var/lib/rpm/Packages' ? 'file' : 'missing');
		const found = installedPackages((path) => files[path], typeOf);
		expect(found.map(({ name, value }) => [name, value.type === 'word' ? value.word : value.type])).toEqual([
			['package bash', '5.2-1'],
			['package musl', '1.2.5-r0'],
			['packages in /var/lib/rpm/Packages', 'unread'],
		]);
		expect(judge([found], [found], OPTIONS).incomparable).toEqual(['packages in /var/lib/rpm/Packages']);
	});
});

test('the kernel says which ports listen, on which addresses', () => {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 12345 1 0
   1: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12346 1 0
   2: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 12347 1 0
   3: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     7        0 1 1 0
`;
	expect(listeningIn(table)).toEqual([
		{ port: 8080, address: 'any', family: 4, uid: 1001 },
		{ port: 80, address: 'loopback', family: 4, uid: 0 },
		{ port: 8081, address: 'loopback', family: 6, uid: 7 },
	]);
});
