// One run: a fresh file system, what must be there before, a settled machine, the commands with the clock and the account on.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openAccount } from './account.mjs';
import { openDisk, settle } from './disk.mjs';
import { openLink } from './proxy.mjs';
import { readResult, TOOLS } from './tools.mjs';
import { runAll } from './user.mjs';

const ROOT = { uid: 0, gid: 0 };
let images = 0;

/**
 * Measures a case on one file system, tools in turn: A B A B. `say(text)` tells of progress. Returns `[{ tool, runs, peak, error }]`; a
 * tool that fails is left out of the rounds that follow.
 */
export async function measureCase(setting, each, on, say) {
	const tools = each.tools.filter((name) => setting.tools.includes(name));
	const measured = tools.map((tool) => ({ tool, runs: [] }));
	const builder = await setting.registry.builder(each.builder);
	const link = await openLink(setting.registry.host, each.link);
	const one = (row, options) =>
		measureOne({ ...setting, builder, host: link.host }, each, on, row, { ...options, say });
	try {
		for (let round = 1; round <= Math.min(setting.runs, each.maximumRuns ?? Infinity); round++) {
			for (const row of measured) await one(row, { round });
		}
		if (each.memory) for (const row of measured) await one(row, { memory: true });
	} finally {
		link.close();
	}
	return measured;
}

async function measureOne(setting, each, on, row, { round, memory = false, say }) {
	if (row.error !== undefined) return;
	const what = `${each.name} on ${on}, ${row.tool}${memory ? ', memory' : ` ${round}`}`;
	try {
		const run = await runOnce(setting, each, on, row.tool, memory);
		if (memory) row.peak = run.peak;
		else row.runs.push(run);
		say(`${what}: ${(run.ms / 1000).toFixed(2)} s, ${(run.cpu / 1000).toFixed(2)} s of processors`);
	} catch (error) {
		row.error = error.message.trim();
		say(`${what} failed: ${row.error}`);
	}
}

async function runOnce(setting, each, on, toolName, memory) {
	const { user, cgroups, scratch, checkout, builder, host } = setting;
	const tool = TOOLS[toolName];
	const disk = openDisk(on, each.isPlainRoot ? ROOT : user, scratch);
	try {
		const { directory } = disk;
		const image = `${host}/bench/${toolName}-${process.pid}-${++images}`;
		const sources = { source: await setting.source(each.change), seed: await setting.source('30000') };
		const isUnchanged = each.isUnchanged === true;
		const run = {
			...{ user, checkout, builder, host, directory, isUnchanged },
			...sources,
			options: each.options,
			isPlainRoot: each.isPlainRoot,
		};
		tool.prepare?.(run);
		const timed = await fill(tool, run, each, image);
		settle([...tool.files(run), ...builder.blobs]);
		const account = openAccount(cgroups, directory);
		const { ms, peak } = await runAll(user, directory, tool.commands(timed), { wrap: account.wrap, memory });
		const cpu = await account.close();
		return { ms, cpu, peak, ...said(directory, isUnchanged) };
	} finally {
		disk.close();
	}
}

/** Makes what the case wants to be there; returns the run that is timed. */
async function fill(tool, run, { fill: kind, isUnchanged }, image) {
	if (kind === undefined) return { ...run, image: `${image}:timed` };
	const before = isUnchanged ? `${image}:timed` : `${image}-before:latest`;
	const source = kind === 'seed' ? run.seed : run.source;
	await runAll(run.user, run.directory, tool.commands({ ...run, source, image: before }));
	const previous = kind === 'seed' ? ['--incremental', '--previous-image', before] : [];
	return { ...run, image: `${image}:timed`, options: [...(run.options ?? []), ...previous] };
}

/** What s2oci tells of the run itself. Throws when it was not the kind of run that was wanted. */
function said(directory, isUnchanged) {
	if (!existsSync(join(directory, 'result.json'))) return {};
	const { timings, rung, reused = false } = readResult(directory);
	if (reused !== isUnchanged)
		throw new Error(`the image was ${reused ? 'named again' : 'built'}, which is not what this shape measures`);
	return { assemble: timings?.find(({ stage }) => stage === 'assemble')?.ms, rung };
}
