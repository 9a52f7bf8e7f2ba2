// Modules, lowest first: a folder of src may import itself, the leaf files of src, and the folders listed for it.
const allowed = {
	oci: [],
	tar: [],
	linux: [],
	create: [],
	'build-config': [],
	content: ['oci', 'tar'],
	engine: ['content', 'oci', 'tar'],
	http: [],
	registry: ['content', 'oci', 'http'],
	rootfs: ['tar', 'oci', 'linux'],
	// What asks an image's own servers, in a process that has nothing else.
	loopback: ['linux', 'protocol'],
	sandbox: ['linux', 'loopback'],
	source: ['tar', 'linux', 'http'],
	s2i: ['oci', 'sandbox', 'source', 'http'],
	protocol: ['rootfs', 'sandbox', 'oci', 'tar'],
	// What holds credentials and network code starts the worker and feeds it, and shares nothing with it but words.
	host: ['protocol', 'rootfs', 'sandbox', 'linux', 'oci'],
	// What opens files of images has no network code: neither http nor registry, nor what uses them.
	worker: ['protocol', 'rootfs', 'sandbox', 'linux', 'oci', 'tar'],
	// No worker, rootfs and linux: the parent never opens a file of an image.
	pipeline: ['host', 'protocol', 'http', 'oci', 'tar', 'content', 'engine', 'registry', 'sandbox', 'source', 's2i'],
	cli: ['pipeline', 'oci', 'content', 'engine', 'registry', 'source', 's2i', 'sandbox', 'create', 'build-config'],
	// What a program imports: the command line in values.
	library: ['cli', 'pipeline', 'oci', 'content', 's2i', 'sandbox'],
};
const layer = (name) => `^src/${name}/`;
/** The npm packages that scripts/bundle.mjs puts into the programs. */
const bundled = ['execa', 're2js', 'tar-stream', 'undici', 'valibot', 'yaml', 'yauzl', 'zstddec'];
module.exports = {
	forbidden: [
		{ name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
		...Object.entries(allowed).map(([from, to]) => ({
			name: `layer-${from}`,
			severity: 'error',
			from: { path: layer(from) },
			to: { path: '^src/[^/]+/', pathNot: [from, ...to].map(layer) },
		})),
		{
			name: 'leaves',
			comment: 'files directly under src import no module',
			severity: 'error',
			from: { path: '^src/[^/]+\\.ts$' },
			to: { path: '^src/[^/]+/' },
		},
		{
			name: 'protocol-words',
			comment: 'the words of both processes bring no code of either',
			severity: 'error',
			from: { path: '^src/protocol/' },
			to: { path: '^src/(rootfs|sandbox|tar)/', dependencyTypesNot: ['type-only'] },
		},
		{
			name: 'pure-oci',
			comment: 'oci decides; it does not touch the world',
			severity: 'error',
			from: { path: '^src/oci/' },
			to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
		},
		...[
			['tar-stream', '^src/tar/'],
			['zstddec', '^src/tar/'],
			['undici', '^src/http/'],
			['execa', '^src/(sandbox|source|worker|engine|registry/credential-helper)'],
			['koffi', '^src/linux/'],
			['yauzl', '^src/(source|pipeline/reproducible)/'],
			['re2js', '^src/source/'],
			['yaml', '^src/build-config/'],
		].map(([dependency, owner]) => ({
			name: `one-owner-${dependency}`,
			severity: 'error',
			from: { pathNot: owner },
			to: { path: `node_modules/${dependency}` },
		})),
		{
			name: 'no-dev-dependency',
			comment: 'what is bundled into the programs is not installed with them',
			severity: 'error',
			from: { path: '^src/' },
			to: { dependencyTypes: ['npm-dev'], pathNot: `node_modules/(${bundled.join('|')})/` },
		},
	],
	options: {
		tsConfig: { fileName: 'tsconfig.json' },
		tsPreCompilationDeps: true,
		doNotFollow: { path: 'node_modules' },
		enhancedResolveOptions: {
			exportsFields: ['exports'],
			conditionNames: ['import', 'require', 'node', 'default', 'types'],
		},
	},
};
