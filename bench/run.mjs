// s2oci and others, measured so that it can be believed: the command.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findCgroups } from './account.mjs';
import { atEnd } from './cleanup.mjs';
import { FILE_SYSTEMS, removeTree } from './disk.mjs';
import { openRegistry } from './images.mjs';
import { describeMachine } from './machine.mjs';
import { measureCase } from './measure.mjs';
import { renderReadme, renderResults, replaceTable } from './report.mjs';
import { DEFAULT_SHAPES, SHAPES } from './shapes.mjs';
import { writeSource } from './sources.mjs';
import { TOOLS } from './tools.mjs';
import { openUser } from './user.mjs';

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const USAGE = `usage: npm run bench -- [--shapes A,B] [--on A,B] [--tools A,B] [--runs N] [--write]

Measures s2oci and other tools: wall time, CPU time of all processes, memory. Each run has a new file system, and nothing
in the page cache but the programs and what the registry serves. Root only has all of this: others measure in directories.

	--shapes A,B     what is built: see --list, or all (default ${DEFAULT_SHAPES.join()})
	--cases TEXT     only cases of these shapes with this in their names
	--on A,B         file systems: ext4 (with a journal, in a loop file), tmpfs (half of the memory or more should be
	                 free), directory (of the disk as it is); default ${FILE_SYSTEMS.slice(0, 2).join()}
	--tools A,B      which of ${Object.keys(TOOLS).join()} (default all that a shape has)
	--runs N         timed runs of each tool in each case (default 3)
	--write          write bench/RESULTS.md and the table of README.md, after each case
	--json FILE      write all numbers there
	--directory DIR  where the registry and file systems are (default the home directory of the user, or TMPDIR)
	--list           say which shapes there are
	-h, --help       show this

  The table of the README        npm run bench -- --write
  Everything, which takes hours  npm run bench -- --shapes all --write
  A look at one tool             npm run bench -- --shapes warm --tools s2oci --on tmpfs --runs 1
`;
const { values } = parseArgs({
	options: {
		shapes: { type: 'string', default: DEFAULT_SHAPES.join() },
		cases: { type: 'string', default: '' },
		on: { type: 'string', default: FILE_SYSTEMS.slice(0, 2).join() },
		tools: { type: 'string', default: Object.keys(TOOLS).join() },
		runs: { type: 'string', default: '3' },
		write: { type: 'boolean', default: false },
		json: { type: 'string' },
		directory: { type: 'string' },
		list: { type: 'boolean' },
		help: { type: 'boolean', short: 'h' },
	},
});

if (values.help) process.stdout.write(USAGE);
else if (values.list) list();
else await main().catch(fail);

function list() {
	for (const [name, { title, cases }] of Object.entries(SHAPES)) {
		process.stdout.write(`${name.padEnd(12)} ${title}\n`);
		for (const { name: each, tools } of cases)
			process.stdout.write(`${''.padEnd(12)}   ${each}: ${tools.join(', ')}\n`);
	}
}

function fail(error) {
	process.stderr.write(`bench: ${error.message}\n`);
	process.exitCode = 1;
}

async function main() {
	const plan = readPlan();
	requireCommands(plan);
	const setting = openSetting(plan);
	const results = {
		...{ command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(), machine: describeMachine(checkout) },
		...{ runs: plan.runs, user: 'one unprivileged user with a range of subordinate ids', rows: [] },
		accounting: setting.cgroups === undefined ? 'of the processes that were waited for' : 'of a cgroup for each run',
	};
	for (const { shape, each, on } of plan.cases) {
		const measured = await measureCase(setting, each, on, (text) => process.stderr.write(`${shape}, ${text}\n`));
		results.rows.push(...measured.map((row) => ({ shape, case: each.name, on, ...row })));
		publish(results);
	}
	process.stdout.write(renderResults(results));
	if (results.rows.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

function readPlan() {
	const runs = Number(values.runs);
	if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs needs a whole number above 0, not ${values.runs}`);
	const names = values.shapes === 'all' ? Object.keys(SHAPES).join() : values.shapes;
	const shapes = choose('--shapes', names, Object.keys(SHAPES));
	const places = choose('--on', values.on, FILE_SYSTEMS);
	const tools = choose('--tools', values.tools, Object.keys(TOOLS));
	const cases = shapes.flatMap((shape) =>
		places.flatMap((on) => SHAPES[shape].cases.map((each) => ({ shape, each, on }))),
	);
	const wanted = cases.filter(
		({ each }) => each.name.includes(values.cases) && each.tools.some((name) => tools.includes(name)),
	);
	if (wanted.length === 0) throw new Error('no case has these tools and names; --list says what there is');
	return { runs, tools, cases: wanted };
}

function choose(option, text, offered) {
	const chosen = text.split(',').filter((word) => word !== '');
	const unknown = chosen.find((word) => !offered.includes(word));
	if (unknown === undefined && chosen.length > 0) return chosen;
	throw new Error(`${option} has no ${unknown ?? 'value'}; here it can be ${offered.join(', ')}`);
}

function requireCommands({ tools, cases }) {
	const used = tools.filter((name) => cases.some(({ each }) => each.tools.includes(name)));
	const commands = new Set(['skopeo', 'setpriv', 'mkfs.ext4', ...used.flatMap((name) => TOOLS[name].programs)]);
	execFileSync('/bin/sh', ['-c', '. scripts/packages.sh && require_commands "$@"', 'bench', ...commands], {
		cwd: checkout,
		stdio: 'inherit',
	});
}

function openSetting({ runs, tools }) {
	const user = openUser(checkout);
	const parent = values.directory ?? (process.getuid() === 0 ? user.home : tmpdir());
	const scratch = mkdtempSync(join(parent, 's2oci-bench-'));
	atEnd(() => removeTree(scratch));
	execFileSync('chmod', ['755', scratch]);
	const sources = new Map();
	const source = (change) => {
		if (!sources.has(change)) sources.set(change, writeSource(join(scratch, `source-${change}`), change));
		return sources.get(change);
	};
	return {
		...{ checkout, user, scratch, runs, tools, source },
		cgroups: findCgroups(),
		registry: openRegistry(checkout, scratch),
	};
}

function publish(results) {
	if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, '\t')}\n`);
	if (!values.write) return;
	writeFileSync(join(checkout, 'bench/RESULTS.md'), renderResults(results));
	const readme = join(checkout, 'README.md');
	writeFileSync(readme, replaceTable(readFileSync(readme, 'utf8'), renderReadme(results)));
}
