// From measurements to tables.
import { SHAPES } from './shapes.mjs';
import { DESCRIPTIONS } from './tools.mjs';

/** The middle of the values, or the mean of the two in the middle. */
export function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `{ machine, runs, user, accounting, command, rows }` as the text of RESULTS.md; a row is `{ shape, case, on, tool, runs, peak, error }`. */
export function renderResults(results) {
	const shapes = [...new Set(results.rows.map(({ shape }) => shape))];
	return [
		'# Results of the benchmark',
		`Written by \`${results.command}\`; [development.md](../docs/development.md#benchmark) says what is measured and how.`,
		renderMachine(results),
		...shapes.flatMap((shape) => renderShape(shape, results.rows)),
		'## Tools',
		[...new Set(results.rows.map(({ tool }) => tool))].map((tool) => `- **${tool}**: ${DESCRIPTIONS[tool]}`).join('\n'),
		...renderErrors(results.rows),
		'',
	]
		.join('\n\n')
		.replace(/\n+$/, '\n');
}

function renderMachine({ machine, runs, user, accounting }) {
	const versions = Object.entries(machine.versions).map((pair) => pair.join(' '));
	return [
		`- s2oci at commit ${machine.commit}, ${machine.date}`,
		`- ${machine.system}, Linux ${machine.kernel}, ${machine.processors}, ${machine.memory}`,
		`- ${versions.join(', ')}`,
		`- median of ${runs} runs (smallest to largest), as ${user}, tools in turn, each run on a new file system`,
		`- CPU: ${accounting}`,
	].join('\n');
}

function renderShape(shape, rows) {
	const own = rows.filter((row) => row.shape === shape);
	const header = [
		'',
		'on',
		'tool',
		'time',
		'',
		'CPU',
		'time of s2oci / its',
		'CPU of s2oci / its',
		'assemble',
		'rung',
		'peak memory',
	];
	const lines = own.map((row) => [row.case, row.on, row.tool, ...cells(row, own)]);
	return [`## ${SHAPES[shape].title}`, table(header, lines)];
}

function cells(row, rows) {
	const { ms, cpu, least, most, assemble } = summarize(row);
	if (ms === undefined) return [row.error === undefined ? '' : 'failed', '', '', '', '', '', '', megabytes(row.peak)];
	const ours = summarize(rows.find((other) => other.tool === 's2oci' && sameCase(other, row)));
	const hasRatio = ours.ms !== undefined && row.tool !== 's2oci';
	return [
		seconds(ms),
		row.runs.length === 1 ? '' : `${seconds(least)} to ${seconds(most)}`,
		seconds(cpu),
		hasRatio ? (ours.ms / ms).toFixed(2) : '',
		hasRatio ? (ours.cpu / cpu).toFixed(2) : '',
		assemble === undefined ? '' : seconds(assemble),
		String(row.runs[0].rung?.number ?? ''),
		megabytes(row.peak),
	];
}

const sameCase = (one, other) => one.case === other.case && one.on === other.on && one.shape === other.shape;

/** Medians of a row: `{ ms, cpu, least, most, assemble }`, nothing when it has no runs. */
function summarize(row) {
	if (row === undefined || row.runs.length === 0) return {};
	const of = (what) => row.runs.map((run) => run[what]);
	const assemble = of('assemble').filter((ms) => ms !== undefined);
	return {
		...{ ms: median(of('ms')), cpu: median(of('cpu')), least: Math.min(...of('ms')), most: Math.max(...of('ms')) },
		...(assemble.length === 0 ? {} : { assemble: median(assemble) }),
	};
}

function renderErrors(rows) {
	const failed = rows.filter(({ error }) => error !== undefined);
	if (failed.length === 0) return [];
	const lines = failed.map(
		(row) => `${row.shape}, ${row.case}, ${row.on}, ${row.tool}:\n\n\`\`\`\n${row.error}\n\`\`\``,
	);
	return ['## Failed', ...lines];
}

/** The table of the README: builds with the Node.js builder, s2oci against buildah. */
export function renderReadme({ machine, runs, rows }) {
	const lines = ['cold', 'warm', 'unchanged'].flatMap((shape) => {
		const own = rows.filter((row) => row.shape === shape && row.tool === 's2oci' && row.runs.length > 0);
		return own.map((row) => [`${shape}, ${row.on}`, ...pair(row, rows, 'ms'), ...pair(row, rows, 'cpu')]);
	});
	const header = ['', 's2oci', 'buildah', 'ratio', 'CPU of s2oci', 'CPU of buildah', 'ratio'];
	const { system, kernel, processors, memory, versions, commit, date } = machine;
	return [
		`${system}, Linux ${kernel}, ${processors}, ${memory}; node ${versions.node}, buildah ${versions.buildah}; median of ${runs} runs each, at commit ${commit}, ${date}:`,
		table(header, lines),
		...renderOthers(rows),
	].join('\n\n');
}

function pair(row, rows, what) {
	const other = summarize(rows.find((each) => each.tool === 'buildah' && sameCase(each, row)));
	const ours = summarize(row)[what];
	if (other[what] === undefined) return [seconds(ours), '', ''];
	return [seconds(ours), seconds(other[what]), (ours / other[what]).toFixed(2)];
}

/** What fetching and unpacking alone takes others, beside a whole cold build. */
function renderOthers(rows) {
	const cold = rows.filter(
		({ shape, runs, tool }) => shape === 'cold' && runs.length > 0 && DESCRIPTIONS[tool].includes('only'),
	);
	if (cold.length === 0) return [];
	const parts = cold.map((row) => {
		const { ms, cpu } = summarize(row);
		return `${seconds(ms)} (CPU ${seconds(cpu)}) with ${row.tool} on ${row.on}`;
	});
	return [`Fetching and unpacking the builder alone takes ${parts.join(', ')}.`];
}

/** Replaces what stands between the two comments. */
export function replaceTable(text, table) {
	const pattern = /(<!-- benchmark -->\n)[^]*?(\n<!-- \/benchmark -->)/;
	if (!pattern.test(text))
		throw new Error('README.md has no <!-- benchmark --> and <!-- /benchmark -->; put them where the table goes');
	return text.replace(pattern, (_all, before, after) => `${before}\n${table}\n${after}`);
}

function table(header, lines) {
	const used = header.map((_, column) => column < 3 || lines.some((line) => line[column] !== ''));
	const row = (line) => `| ${line.filter((_, column) => used[column]).join(' | ')} |`;
	return [row(header), row(header.map(() => '---')), ...lines.map(row)].join('\n');
}

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (bytes) => (bytes === undefined ? '' : `${Math.round(bytes / 1e6)} MB`);
