// From measurements to numbers and a table.

/** What the project promises: ratios of s2oci's time to buildah's, and bytes. */
export const TARGETS = { cold: 0.4, warm: 0.5, memory: 300e6 };

/** The middle of the values, or the mean of the two in the middle. */
export function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `{ runs, cold, warm, memory }`, times in ms, memory in bytes, from `{ cold: { s2oci: [], buildah: [] }, warm: ..., memory: { cold, warm } }`. */
export function summarize({ cold, warm, memory }) {
	return { runs: cold.s2oci.length, cold: compare(cold), warm: compare(warm), memory };
}

function compare({ s2oci, buildah }) {
	const [ours, theirs] = [s2oci, buildah].map((runs) => median(runs.map(({ ms }) => ms)));
	const stages = stageMedians(s2oci);
	const overhead = { s2ociMs: ours - stages.assemble, buildahMs: theirs - stages.assemble };
	return {
		...{ s2ociMs: ours, buildahMs: theirs, ratio: ours / theirs, stages, rung: s2oci[0].result.rung },
		overhead: { ...overhead, ratio: overhead.s2ociMs / overhead.buildahMs },
	};
}

function stageMedians(runs) {
	const stages = new Map();
	for (const { stage, ms } of runs.flatMap(({ result }) => result.timings)) {
		stages.set(stage, [...(stages.get(stage) ?? []), ms]);
	}
	return Object.fromEntries([...stages].map(([stage, values]) => [stage, median(values)]));
}

/** The summary as text for a terminal. */
export function renderSummary({ runs, cold, warm, memory }) {
	const { userNamespace, rootfs, sandbox } = cold.rung ?? {};
	return [
		`median of ${runs} runs; s2oci on ${userNamespace} user namespace, ${rootfs}, ${sandbox}; buildah on overlay, chroot`,
		'',
		row('', 's2oci', 'buildah', 'ratio', 'target', ''),
		ratioRow('cold', cold),
		overheadRow(cold),
		ratioRow('warm', warm),
		overheadRow(warm),
		'',
		row('peak memory', 's2oci', '', '', 'target', ''),
		...Object.entries(memory).map(([name, bytes]) =>
			row(name, megabytes(bytes), '', '', megabytes(TARGETS.memory), verdict(bytes <= TARGETS.memory)),
		),
		'',
		row('stage of s2oci', 'cold', 'warm', '', '', ''),
		...Object.keys(cold.stages).map((stage) => row(stage, seconds(cold.stages[stage]), seconds(warm.stages[stage]))),
		'(stages overlap)',
	].join('\n');
}

const ratioRow = (name, { s2ociMs, buildahMs, ratio }) =>
	row(
		name,
		seconds(s2ociMs),
		seconds(buildahMs),
		ratio.toFixed(2),
		`<= ${TARGETS[name]}`,
		verdict(ratio <= TARGETS[name]),
	);

/** Both run the same assemble: what is left is the tool's own time. */
const overheadRow = ({ overhead: { s2ociMs, buildahMs, ratio } }) =>
	row('  less assemble', seconds(s2ociMs), seconds(buildahMs), ratio.toFixed(2));

const verdict = (met) => (met ? 'met' : 'missed');
const seconds = (ms) => (ms === undefined ? '-' : `${(ms / 1000).toFixed(2)} s`);
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
const row = (name, ...cells) => [name.padEnd(16), ...cells.map((cell) => cell.padStart(9))].join(' ').trimEnd();
