// Bundles each program into a directory: node bundle.mjs [DIRECTORY], by default dist. Node.js spends more on finding and linking some
// hundred modules than a small build takes. A program is two files: what it always needs, and what builds need besides; what else is loaded
// later is a third, and large packages that not every build needs stay apart.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { licencesOf, packagesOf } from './licences.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const target = resolve(process.argv[2] ?? join(root, 'dist'));

/** What is used of undici, beside the methods of its dispatchers. Its index also loads fetch, WebSocket and mocks, for longer than a request takes. */
const UNDICI = `import Dispatcher from '@/dispatcher/dispatcher.js';
import request from '@/api/api-request.js';
Object.assign(Dispatcher.prototype, { request });
export { default as Agent } from '@/dispatcher/agent.js';
export { default as ProxyAgent } from '@/dispatcher/proxy-agent.js';
`.replaceAll('@', join(root, 'node_modules/undici/lib'));

const IMPORT = /^(?:import|export) (?!type )[^;]*?from '(\.[^']+)\.js';/gms;
const BUILTIN = /^import ([^;'"]*?) from "(node:[\w/]+)";$/gm;
/** What programs load later, but in every build; and what of the worker is too small for a file. */
const IN_BUILDS = [
	...['cli/commands/build', 'cli/parse-command', 'cli/report-text', 'pipeline/build', 'library/read-options'],
	...['worker/execute', 'worker/artifacts', 'worker/probe', 'worker/observe'],
];
/** Packages that stay with what else is loaded later. */
const SELDOM = /\/node_modules\/(?:re2js|yaml|yauzl)\//;
const inBuilds = importedBy(IN_BUILDS.map((name) => join(source, `${name}.ts`)));

const commit = readCommit();
// One by one: what programs have in common would make many small chunks.
const modules = [];
for (const program of listPrograms()) modules.push(...(await bundle(program)));
writeFileSync(join(target, 'LICENSES.txt'), licencesOf(packagesOf(modules)));

/** The commit that is checked out; unknown in what is no checkout, such as an unpacked archive inside of another one. */
function readCommit() {
	const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
	const place = git('rev-parse', '--show-prefix');
	if (place.status !== 0 || place.stdout.trim() !== '') return undefined;
	return git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*').stdout.trim() || undefined;
}

/** Whatever is started by its file, and what bin/s2oci.js and other packages import. */
function listPrograms() {
	const files = globSync('**/*.ts', { cwd: source });
	const started = files.flatMap((file) =>
		[...readFileSync(join(source, file), 'utf8').matchAll(/new URL\('(\.[\w./-]+)\.js', import\.meta\.url\)/g)].map(
			([, name]) => join(file, '..', name),
		),
	);
	return [...new Set(['library/program', ...started])];
}

/** Writes one program; returns the paths of the modules in it. */
async function bundle(program) {
	const always = importedBy([join(source, `${program}.ts`)]);
	const bundled = await rolldown({
		cwd: root,
		// A program's own file may have names for its other files.
		preserveEntrySignatures: 'allow-extension',
		input: { [program]: join(source, `${program}.ts`) },
		platform: 'node',
		// The floor: it does not know `using`.
		transform: { target: 'node22.19', define: commit === undefined ? {} : { BUILT_COMMIT: JSON.stringify(commit) } },
		// koffi finds its native half beside itself.
		external: [/^node:/, 'koffi'],
		plugins: [
			{ name: 'places', transform: { filter: { id: /\/src\/.*\.ts$/ }, handler: keepPlace } },
			{
				name: 'undici',
				resolveId: (id) => (id === 'undici' ? '\0undici' : undefined),
				// HTTP/2 is not spoken: src/http/dispatchers.ts.
				load: (id) =>
					id === '\0undici' ? UNDICI : id.endsWith('/undici/lib/dispatcher/client-h2.js') ? '' : undefined,
			},
			{ name: 'builtins', renderChunk: (code) => code.replace(BUILTIN, takeBuiltin) },
		],
		resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
		onLog: (level, log, report) => log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT' && report(level, log),
	});
	const { output } = await bundled.write({
		...{ dir: target, format: 'esm', comments: false },
		...{ entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
		...(importsLater(always)
			? { codeSplitting: { groups: groupsOf(program.startsWith('library') ? 'cli' : program.split('/')[0], always) } }
			: {}),
	});
	await bundled.close();
	return output.flatMap(({ moduleIds = [] }) => moduleIds);
}

/** Whether `files` import modules of ours later: then there is more than one file. */
function importsLater(files) {
	return [...files].some((file) => / import\('\./.test(readFileSync(file, 'utf8')));
}

/** The files of a program, the first that fits a module. */
function groupsOf(name, always) {
	return [
		{ name, test: (id) => always.has(id), priority: 3 },
		{ name: `${name}-build`, test: (id) => inBuilds.has(id) || id.includes('/node_modules/valibot/'), priority: 2 },
		{ name: `${name}-more`, test: (id) => id.startsWith(source) || SELDOM.test(id), priority: 1 },
	];
}

/** The modules that `files` import at once, directly or not, and themselves. */
function importedBy(files, found = new Set()) {
	for (const file of files) {
		if (found.has(file)) continue;
		found.add(file);
		const names = [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, name]) => name);
		importedBy(
			names.map((name) => `${resolve(dirname(file), name)}.ts`),
			found,
		);
	}
	return found;
}

/** To import a part of Node.js reads all that it exports, and so loads what stands behind getters, such as the diff of node:util. */
function takeBuiltin(_line, names, module) {
	const [, whole, , named] = /^(?:\* as ([\w$]+)|([\w$]+))?(?:, )?(?:\{(.*)\})?$/s.exec(names);
	const [, , alone] = /^(?:\* as ([\w$]+)|([\w$]+))?/.exec(names);
	const take = `process.getBuiltinModule('${module}')`;
	const lines = [whole ?? alone].filter(Boolean).map((name) => `const ${name} = ${take};`);
	if (named !== undefined) lines.push(`const {${named.replaceAll(' as ', ': ')}} = ${take};`);
	return lines.join('\n');
}

/** Programs and chunks are one directory below dist, so a module finds what lies beside it from each of them. */
function keepPlace(code, id) {
	const place = relative(source, id).replace(/\.ts$/, '.js');
	return { code: code.replaceAll('import.meta.url', `new URL('../${place}', import.meta.url).href`) };
}
