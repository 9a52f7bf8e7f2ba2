// Modules, lowest first: a folder of src may import itself, the leaf files of src, and the folders listed for it.
const allowed = {
	oci: [],
	tar: [],
	linux: [],
	create: [],
	content: ['oci', 'tar'],
	engine: ['content', 'oci', 'tar'],
	http: [],
	registry: ['content', 'oci', 'http'],
	rootfs: ['tar', 'oci', 'linux'],
	sandbox: ['linux'],
	source: ['tar', 'http'],
	s2i: ['oci', 'sandbox', 'source', 'http'],
	worker: ['rootfs', 'sandbox', 'linux', 'oci', 'tar'],
	build: ['http', 'oci', 'tar', 'content', 'engine', 'registry', 'rootfs', 'sandbox', 'source', 's2i', 'worker'],
	cli: ['build', 'oci', 'content', 'engine', 'registry', 'source', 's2i', 'sandbox', 'create'],
};
const layer = (name) => `^src/${name}/`;
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
			name: 'pure-oci',
			comment: 'oci decides; it does not touch the world',
			severity: 'error',
			from: { path: '^src/oci/' },
			to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
		},
		...[
			['tar-stream', '^src/tar/'],
			['zstddec', '^src/tar/'],
			['undici', '^src/(registry/transport|http/)'],
			['execa', '^src/(sandbox|source|worker|engine|registry/credential-helper)'],
			['cmd-ts', '^src/cli/'],
			['koffi', '^src/linux/'],
			['yauzl', '^src/source/'],
		].map(([dependency, owner]) => ({
			name: `one-owner-${dependency}`,
			severity: 'error',
			from: { pathNot: owner },
			to: { path: `node_modules/${dependency}` },
		})),
		{ name: 'no-dev-dependency', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev'] } },
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
