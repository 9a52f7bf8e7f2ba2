// The shapes of builds that are measured. A shape is a list of cases; a case is measured with each of its tools on each file system.
const BUILDS = ['s2oci', 'buildah'];
const FETCHES = ['umoci', 'curl-tar'];

/**
 * `fill` is what runs on the fresh file system before the clock starts: nothing, the `same` build, or that of the previous image (`seed`).
 * `builder` and `change` are names of BUILDERS and CHANGES; `link` is the network between the tools and the registry; `memory` asks for
 * one run more, in which memory is sampled.
 */
export const SHAPES = {
	cold: {
		title: 'Cold: nothing is there',
		cases: [{ name: 'node, 2,000 files', builder: 'node', change: '2000', tools: [...BUILDS, ...FETCHES] }],
	},
	warm: {
		title: 'Warm: the builder is in the store',
		cases: [{ name: 'node, 2,000 files', builder: 'node', change: '2000', tools: BUILDS, fill: 'same' }],
	},
	unchanged: {
		title: 'Unchanged: the same build again',
		cases: [
			{ name: 'node, 2,000 files', builder: 'node', change: '2000', tools: BUILDS, fill: 'same', isUnchanged: true },
		],
	},
	memory: {
		title: 'Peak memory of cold and warm builds',
		cases: ['cold', 'warm'].map((name) => ({
			...{ name, builder: 'node', change: '2000', tools: BUILDS, memory: true, maximumRuns: 1 },
			...(name === 'warm' ? { fill: 'same' } : {}),
		})),
	},
	builders: {
		title: 'Growth of the builder, cold, 10 files changed',
		cases: ['20000', '50000', '200000'].map((builder) => ({
			...{ name: `${count(builder)} entries`, builder, change: '10', tools: ['s2oci'], memory: true },
		})),
	},
	changes: {
		title: 'Growth of the change, warm, a builder of 20,000 entries',
		cases: ['10', '2000', '30000', '2GB'].map((change) => ({
			...{ name: change === '2GB' ? 'one file of 2 GiB' : `${count(change)} files`, builder: '20000', change },
			...{ tools: ['s2oci'], fill: 'same', memory: true },
		})),
	},
	latency: {
		title: 'Round trips to the registry, cold',
		cases: [1, 20, 100].map((latency) => ({
			...{ name: `${latency} ms`, builder: 'node', change: '10', tools: BUILDS, link: { latency } },
		})),
	},
	bandwidth: {
		title: 'Bandwidth to the registry, cold, round trips of 1 ms',
		cases: [20, 100].map((bandwidth) => ({
			...{ name: `${bandwidth} MB/s`, builder: 'node', change: '10', tools: BUILDS, link: { latency: 1, bandwidth } },
		})),
	},
	layers: {
		title: 'Layers of a builder of 50,000 entries, cold',
		cases: ['1-layer', '2-layers', '8-layers', '1-layer-zstd', '8-layers-zstd'].map((builder) => ({
			...{ name: layerName(builder), builder, change: '10', tools: BUILDS },
		})),
	},
	rungs: {
		title: 'Rungs, warm',
		cases: [
			{ name: 'the best there is', options: [] },
			{ name: 'a copy (rung 4)', options: ['--rootfs', 'copy'] },
			{
				name: 'a copy, as root without mounts (rung 5)',
				options: ['--rootfs', 'copy', '--isolation', 'chroot', '--userns', 'none'],
				isPlainRoot: true,
			},
		].map((each) => ({ builder: 'node', change: '2000', tools: ['s2oci'], fill: 'same', ...each })),
	},
	'in-place': {
		title: 'In place (rung 6), a builder of 50,000 entries',
		cases: [
			{ name: 'the job is the builder', builder: '50000', change: '2000', tools: ['in-place'] },
			{ name: 'cold, on the best rung', builder: '50000', change: '2000', tools: ['s2oci'] },
			{ name: 'warm, on the best rung', builder: '50000', change: '2000', tools: ['s2oci'], fill: 'same' },
		],
	},
	incremental: {
		title: 'Incremental: 30,000 files of 1 KB from the previous image',
		cases: [
			{ name: 'clean build, no files', builder: 'tiny', change: 'none', tools: ['s2oci'], fill: 'same' },
			{ name: 'restoring 30,000 files', builder: 'tiny', change: 'none', tools: ['s2oci'], fill: 'seed' },
			{ name: 'the same files by hand', builder: 'tiny', change: 'none', tools: ['native'] },
		],
	},
};

export const DEFAULT_SHAPES = ['cold', 'warm', 'unchanged'];

function count(digits) {
	return Number(digits).toLocaleString('en');
}

function layerName(builder) {
	const [number, , compression = 'gzip'] = builder.split('-');
	return `${number} large ${number === '1' ? 'layer' : 'layers'}, ${compression}`;
}
