// s2oci against buildah: same user, builder, application and registry, runs interleaved, nothing shared between tools.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { renderSummary, summarize } from './report.mjs';
import { openBuildah, openS2oci } from './tools.mjs';
import { openUser, requireReadable, runAs } from './user.mjs';

const USAGE = `usage: npm run bench -- [--runs N] [--json FILE]

	--runs N     timed runs of each tool, cold and warm (default 3)
	--json FILE  also write the numbers there
`;
const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
	options: { runs: { type: 'string', default: '3' }, json: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
});
if (values.help) process.stdout.write(USAGE);
else await main(Number(values.runs), values.json);

async function main(runs, jsonFile) {
	if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs needs a whole number above 0, not ${values.runs}`);
	requireCommands('buildah', 'newuidmap', 'skopeo', 'setpriv');
	const user = openUser(checkout);
	try {
		await requireReadable(user, checkout);
		const summary = summarize(await withRegistry(user, (registry) => measure(user, registry, runs)));
		process.stdout.write(`${renderSummary(summary)}\n`);
		if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(summary, null, '\t')}\n`);
	} finally {
		await removeTree(user, user.directory);
	}
}

function requireCommands(...commands) {
	execFileSync('/bin/sh', ['-c', '. scripts/packages.sh && require_commands "$@"', 'bench', ...commands], {
		cwd: checkout,
		stdio: 'inherit',
	});
}

async function withRegistry(user, use) {
	const directory = join(user.directory, 'registry');
	const script = (...args) =>
		execFileSync(join(checkout, 'scripts', args[0]), args.slice(1), {
			encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'inherit'],
		});
	const layout = join(user.directory, 'builder');
	script('make-builder', '--node', layout);
	const registry = script('registry', 'start', '--dir', directory).trim();
	try {
		const target = `docker://${registry}/builder/node:latest`;
		execFileSync('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', `oci:${layout}:latest`, target]);
		return await use(registry);
	} finally {
		script('registry', 'stop', '--dir', directory);
	}
}

async function measure(user, registry, runs) {
	const setting = {
		...{ checkout, user, registry, builder: `${registry}/builder/node:latest` },
		application: join(checkout, 'testdata/apps/node-web'),
		caBundle: process.env.NODE_EXTRA_CA_CERTS ?? process.env.SSL_CERT_FILE,
	};
	const tools = [openS2oci(setting), openBuildah(setting)];
	const [s2oci] = tools;
	const cold = await interleave(tools, runs, 'cold', (tool, tag) =>
		tool.build(newStore(user, `${tool.name}-${tag}`), tag),
	);
	const coldPeak = await s2oci.build(newStore(user, 'memory'), 'memory-cold', { memory: true });
	const stores = new Map(tools.map((tool) => [tool, newStore(user, `warm-${tool.name}`)]));
	for (const tool of tools) await tool.build(stores.get(tool), 'fill');
	const warm = await interleave(tools, runs, 'warm', (tool, tag) => tool.build(stores.get(tool), tag));
	const warmPeak = await s2oci.build(stores.get(s2oci), 'memory-warm', { memory: true });
	return { cold, warm, memory: { cold: coldPeak.peak, warm: warmPeak.peak } };
}

/** Each tool once per round, the first one in turn. What a run leaves to be written is written before the next one begins. */
async function interleave(tools, runs, name, build) {
	const measured = Object.fromEntries(tools.map((tool) => [tool.name, []]));
	for (let round = 1; round <= runs; round++) {
		for (const tool of round % 2 === 1 ? tools : [...tools].reverse()) {
			execFileSync('sync');
			const run = await build(tool, `${name}-${round}`);
			measured[tool.name].push(run);
			process.stderr.write(`${name} ${round}/${runs} ${tool.name}: ${(run.ms / 1000).toFixed(2)} s\n`);
		}
	}
	return measured;
}

/** Stores are removed at the very end: a disk that discards what was deleted is slow for minutes. */
function newStore(user, name) {
	return join(user.directory, `store-${name}`);
}

/** Files of subordinate ids can only be removed by root, or from within the user namespace. */
async function removeTree(user, directory) {
	if (process.getuid() === 0) rmSync(directory, { recursive: true, force: true });
	else await runAs(user, ['buildah', 'unshare', 'rm', '-rf', directory]);
}
