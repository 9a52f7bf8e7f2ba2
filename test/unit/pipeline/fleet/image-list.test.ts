import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBuildError } from '../../../../src/errors.js';
import { readImageList } from '../../../../src/pipeline/fleet/image-list.js';

const pod = (...images: readonly string[]) => ({ containers: images.map((image) => ({ name: 'c', image })) });
const object = (kind: string, spec: unknown) => ({ apiVersion: 'v1', kind, metadata: { name: 'x' }, spec });
const template = (spec: unknown) => ({ template: { spec } });

const read = (value: unknown) => readImageList(JSON.stringify(value), 'the list');

test('names stand one a line, with comments and empty lines between them, and each counts once', () => {
	expect(readImageList('# ours\nr.example/a:1\r\n\n  r.example/b\nr.example/a:1\n', 'x')).toEqual([
		'r.example/a:1',
		'r.example/b',
	]);
	expect(readImageList('', 'x')).toEqual([]);
});

test('a list of objects of a cluster gives the images of all their containers', () => {
	const items = [
		object('Deployment', template({ initContainers: [{ image: 'init' }], ...pod('deployed', 'side') })),
		object('StatefulSet', template(pod('stateful'))),
		object('DaemonSet', template(pod('daemon'))),
		object('CronJob', { jobTemplate: { spec: template(pod('cron')) } }),
		object('Job', template(pod('job', 'side'))),
		object('Pod', { ...pod('pod'), ephemeralContainers: [{ image: 'debug' }] }),
		object('Service', { ports: [] }),
		{ apiVersion: 'v1', kind: 'ConfigMap', data: { image: 'none' } },
	];
	const images = ['init', 'deployed', 'side', 'stateful', 'daemon', 'cron', 'job', 'pod', 'debug'];
	expect(read({ apiVersion: 'v1', kind: 'List', items })).toEqual(images);
	expect(read({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'List', items }] })).toEqual(images);
	expect(read(items)).toEqual(images);
	expect(read(items[0])).toEqual(['init', 'deployed', 'side']);
});

test('what is neither names nor JSON is refused with what to do', () => {
	expect(() => readImageList('apiVersion: v1\nkind: List\n', 'stdin')).toThrow(/stdin is YAML/);
	expect(() => readImageList('{"items": [', 'stdin')).toThrow(/begins like JSON, and is none/);
	expect(() => readImageList('a\n'.repeat(3) + Array.from({ length: 20_001 }, (_, n) => n).join('\n'), 'x')).toThrow(
		/more than/,
	);
});

test('any JSON at all gives strings, or a BuildError', () => {
	fc.assert(
		fc.property(
			fc.oneof(
				fc.jsonValue(),
				fc.jsonValue().map((items) => ({ items })),
				fc.jsonValue().map((spec) => ({ spec })),
			),
			(value) => {
				const text = JSON.stringify(value);
				try {
					expect(readImageList(text, 'x').every((name) => typeof name === 'string' && name !== '')).toBe(true);
				} catch (error) {
					if (!isBuildError(error)) throw error;
				}
			},
		),
	);
});
