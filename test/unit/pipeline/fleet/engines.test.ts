import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { renderWork } from '../../../../src/pipeline/fleet/engines/render.js';
import { ENGINES, type EngineName, type Work } from '../../../../src/pipeline/fleet/engines/work.js';
import { faultsOf } from '../../../support/custom-resource.js';

const IMAGES = ['r.example/team/app:1', 'r.example/team/app:2', 'docker.io/library/other:latest'];
const JOB_IMAGE = 'r.example/ci/s2oci';

interface List {
	readonly items: readonly {
		readonly kind: string;
		readonly metadata: { readonly name: string };
		readonly data?: Readonly<Record<string, string>>;
		readonly spec?: Readonly<Record<string, unknown>> & { readonly build?: { readonly spec: unknown } };
	}[];
}

interface Rendered<T> {
	readonly document: T;
	readonly left: number;
}

function render<T>(engine: EngineName, work: Partial<Work> = {}): Rendered<T> {
	const jobImage = engine === 'github' || engine === 'shipwright' ? undefined : JOB_IMAGE;
	const nothing = { canary: undefined, maxParallel: undefined, credentials: undefined };
	const { text, left } = renderWork(engine, { images: IMAGES, jobImage, options: [], ...nothing, ...work });
	expect(parse(text)).toEqual(JSON.parse(text));
	return { document: JSON.parse(text) as T, left };
}

const many = (count: number) => Array.from({ length: count }, (_, index) => `r.example/app:${index}`);

describe('gitlab', () => {
	type Pipeline = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

	test('has a job for each image, whose name is a variable and not in the script', () => {
		const { document, left } = render<Pipeline>('gitlab', { options: ['--insecure-registry', "it's"] });
		expect(left).toBe(0);
		expect(Object.keys(document)).toEqual([
			'stages',
			'workflow',
			'.rebuild',
			...IMAGES.map((image) => `rebuild ${image}`),
		]);
		expect(document['.rebuild']).toEqual({
			image: { name: JOB_IMAGE, entrypoint: [''] },
			script: [`s2oci rebuild "$FLEET_IMAGE" '--insecure-registry' 'it'\\''s' '--pull-policy' 'always'`],
		});
		const [image = ''] = IMAGES;
		expect(document[`rebuild ${image}`]).toEqual({
			extends: '.rebuild',
			stage: 'rebuild',
			variables: { FLEET_IMAGE: image },
		});
	});

	test('canaries are in an earlier stage, and resource groups are as many as jobs may run', () => {
		const { document } = render<Pipeline>('gitlab', { images: many(5), canary: 1, maxParallel: 2 });
		const jobs = Object.entries(document).filter(([name]) => name.startsWith('rebuild '));
		expect(jobs.map(([, job]) => job['stage'])).toEqual(['canary', 'rebuild', 'rebuild', 'rebuild', 'rebuild']);
		expect(new Set(jobs.map(([, job]) => job['resource_group'])).size).toBe(2);
	});

	test('names of jobs stay different where they are too long, and there is a job when nothing is stale', () => {
		const images = ['a', 'b'].map((end) => `r.example/${'x/'.repeat(120)}app:${'1'.repeat(100)}${end}`);
		const names = Object.keys(render<Pipeline>('gitlab', { images }).document).slice(3);
		expect(names.every((name) => name.length <= 255)).toBe(true);
		expect(new Set(names).size).toBe(2);
		expect(Object.keys(render<Pipeline>('gitlab', { images: [] }).document)).toContain('nothing to rebuild');
	});
});

describe('github', () => {
	test('is a matrix on one line, of the canaries alone when there are any, and of 256 at most', () => {
		expect(render('github').document).toEqual({ include: IMAGES.map((image) => ({ image })) });
		expect(render('github', { canary: 1 })).toEqual({ document: { include: [{ image: IMAGES[0] }] }, left: 2 });
		expect(render<{ include: unknown[] }>('github', { images: many(300) })).toMatchObject({
			left: 44,
			document: { include: { length: 256 } },
		});
		expect(render('github', { images: [] }).document).toEqual({ include: [] });
		expect(() => render('github', { maxParallel: 2 })).toThrow(/GitHub reads it beside/);
	});
});

describe('tekton', () => {
	test('is a valid TaskRun for each image, which is a parameter', (context) => {
		const { document } = render<List>('tekton', { credentials: 'push', options: ['--insecure-registry', 'r.example'] });
		expect(document.items).toHaveLength(3);
		for (const item of document.items) expect(faultsOf(context, 'tekton-taskrun.yaml', 'v1', item)).toEqual([]);
		expect(document.items[1]?.spec?.['params']).toEqual([{ name: 'IMAGE', value: IMAGES[1] }]);
		expect(faultsOf(context, 'tekton-taskrun.yaml', 'v1', { ...document.items[0], spec: { image: 'x' } })).not.toEqual(
			[],
		);
	});

	test('has as many as may run, or the canaries, and tells how many are left', () => {
		expect(render<List>('tekton', { canary: 1 })).toMatchObject({ left: 2, document: { items: { length: 1 } } });
		expect(render<List>('tekton', { maxParallel: 2 })).toMatchObject({ left: 1, document: { items: { length: 2 } } });
	});
});

describe('shipwright', () => {
	test('is a BuildRun for each image, with a valid build of the strategy that ci has', (context) => {
		const { document } = render<List>('shipwright', { credentials: 'push', options: ['--platform', 'linux/arm64'] });
		expect(document.items).toHaveLength(3);
		for (const { spec, kind } of document.items) {
			const build = { apiVersion: 'shipwright.io/v1beta1', kind: 'Build', metadata: {}, spec: spec?.build?.spec };
			expect(kind).toBe('BuildRun');
			expect(faultsOf(context, 'shipwright-builds.yaml', 'v1beta1', build)).toEqual([]);
		}
		const strategy = parse(readFileSync('ci/shipwright/rebuild-strategy.yaml', 'utf8')) as List['items'][number];
		expect(faultsOf(context, 'shipwright-clusterbuildstrategies.yaml', 'v1beta1', strategy)).toEqual([]);
		expect(document.items[0]?.spec?.build?.spec).toMatchObject({ strategy: { name: strategy.metadata.name } });
		expect(() => render('shipwright', { jobImage: JOB_IMAGE })).toThrow(/in the strategy/);
	});
});

describe('kubernetes', () => {
	test('is an Indexed Job and the names of its images as files', () => {
		const { document } = render<List>('kubernetes', { maxParallel: 2, credentials: 'push' });
		const [names, job] = document.items;
		expect(names).toMatchObject({ kind: 'ConfigMap', data: { 0: IMAGES[0], 1: IMAGES[1], 2: IMAGES[2] } });
		expect(job).toMatchObject({
			kind: 'Job',
			metadata: { name: names?.metadata.name },
			spec: { completionMode: 'Indexed', completions: 3, parallelism: 2, backoffLimitPerIndex: 1, suspend: false },
		});
		expect(JSON.stringify(job)).not.toContain('r.example/team');
	});

	test('canaries are a Job of their own, and the others are suspended until somebody lets them go', () => {
		const { document } = render<List>('kubernetes', { canary: 1 });
		const jobs = document.items
			.filter(({ kind }) => kind === 'Job')
			.map(({ spec }) => [spec?.['completions'], spec?.['suspend']]);
		expect(jobs).toEqual([
			[1, false],
			[2, true],
		]);
		expect(new Set(document.items.map(({ metadata }) => metadata.name)).size).toBe(2);
	});

	test('names fit into a ConfigMap, and those that do not are left', () => {
		const images = Array.from({ length: 4000 }, (_, index) => `r.example/${'x'.repeat(240)}:${index}`);
		const { document, left } = render<List>('kubernetes', { images });
		expect(left).toBeGreaterThan(0);
		expect(Buffer.byteLength(JSON.stringify(document.items[0]))).toBeLessThan(1024 * 1024);
	});
});

test.each(ENGINES.filter((engine) => engine !== 'github' && engine !== 'shipwright'))(
	'%s needs an image for its jobs',
	(engine) => {
		expect(() => render(engine, { jobImage: undefined })).toThrow(/needs --job-image/);
	},
);
