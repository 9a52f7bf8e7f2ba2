// Bundles each program of dist into one file with what it shares with others in dist/chunks: node bundle.mjs. Node.js spends more on
// finding and linking some hundred modules than a small build takes. Modules that the programs load later stay apart.
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');

const SHARED = {
	absWorkingDir: root,
	outdir: 'dist',
	outbase: 'src',
	chunkNames: 'chunks/[name]-[hash]',
	bundle: true,
	splitting: true,
	format: 'esm',
	platform: 'node',
	target: 'node22.19',
	// It finds its native half beside itself.
	external: ['koffi'],
	banner: {
		js: "import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);",
	},
	legalComments: 'none',
	plugins: [
		{ name: 'places', setup: keepPlaces },
		{ name: 'names', setup: keepNames },
	],
	logLevel: 'warning',
};

// One by one: what programs have in common would make many small chunks.
await Promise.all(listPrograms().map((program) => build({ ...SHARED, entryPoints: [program] })));

/** Whatever is started by its file, and what bin/s2oci.js imports. */
function listPrograms() {
	const files = globSync('**/*.ts', { cwd: source });
	const started = files.flatMap((file) =>
		[...readFileSync(join(source, file), 'utf8').matchAll(/new URL\('(\.[\w./-]+)\.js', import\.meta\.url\)/g)].map(
			([, name]) => join('src', file, '..', `${name}.ts`),
		),
	);
	return [...new Set(['src/cli/run-process.ts', ...started])];
}

/** Programs and chunks are one directory below dist, so a module finds what lies beside it from each of them. */
function keepPlaces({ onLoad }) {
	onLoad({ filter: /\.ts$/ }, ({ path }) => {
		const text = readFileSync(path, 'utf8');
		const place = relative(source, path).replace(/\.ts$/, '.js');
		const contents = text.replaceAll('import.meta.url', `new URL('../${place}', import.meta.url).href`);
		return { contents, loader: 'ts' };
	});
}

/** Node.js gives a CommonJS package that is imported later its names; a bundle would give it as a whole. */
function keepNames({ onResolve, onLoad }) {
	onResolve({ filter: /^[a-z]/ }, ({ kind, path, namespace }) => {
		const isPackage = kind === 'dynamic-import' && namespace === 'file' && path !== 'koffi' && !isBuiltin(path);
		return isPackage ? { path, namespace: 'package' } : undefined;
	});
	onLoad({ filter: /^/, namespace: 'package' }, async ({ path }) => {
		const names = Object.keys(await import(path)).filter((name) => name !== 'module.exports');
		return { contents: `export { ${names.join(', ')} } from '${path}';`, resolveDir: root };
	});
}
