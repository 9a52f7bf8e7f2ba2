import type { Diagnosis, RegistryTrial, RungTrial, StoreState } from '../pipeline/doctor/diagnosis.js';
import type { Finding } from '../pipeline/doctor/findings.js';
import { formatBytes } from './format.js';

const NAME_WIDTH = 31;
const STATUS_WIDTH = 7;
/** Without a place that fits, as many ways to fix something are shown. */
const MAX_FIXES = 3;

/** `diagnosis` for people: a line for each rung, the store, the programs, each registry, what to fix, and in the last line the best rung. */
export function renderDiagnosis(diagnosis: Diagnosis): string {
	const { rungs, store, programs, registries, findings, places } = diagnosis;
	const missing = programs.filter(({ path }) => path === undefined).map(({ name }) => name);
	const there = programs.filter(({ path }) => path !== undefined).map(({ name }) => name);
	return [
		...rungs.map(renderRung),
		renderStore(store),
		`programs ${there.join(', ') || 'none'}${missing.length === 0 ? '' : `; missing: ${missing.join(', ')}`}`,
		...registries.map(renderRegistry),
		...findings.filter(({ fixes }) => fixes.length > 0).flatMap((finding) => renderFinding(finding, places)),
		renderBest(diagnosis),
		'',
	].join('\n');
}

function renderRung({ rung, name, status, reason, findings, sandboxes }: RungTrial): string {
	const working = sandboxes.filter(({ works }) => works).map((each) => each.name);
	const refused = reason === '' ? '' : ` (${reason})`;
	const what = status === 'works' ? `${working.join(', ')}${refused}` : [...findings, reason].join(': ');
	return `rung ${rung}  ${name.padEnd(NAME_WIDTH)}  ${status.padEnd(STATUS_WIDTH)}  ${what}`;
}

function renderStore({ path, fileSystem, mountPoint, freeBytes, findings }: StoreState): string {
	const free = freeBytes === undefined ? '' : `, ${formatBytes(freeBytes)} free`;
	const found = findings.length === 0 ? '' : `; ${findings.join(', ')}`;
	return `store ${path}: ${fileSystem} at ${mountPoint}${free}${found}`;
}

function renderRegistry(trial: RegistryTrial): string {
	const { name, reachable, login, pull, push, mount, reasons, findings } = trial;
	const why = reasons.length === 0 ? '' : `; ${[...findings, ...reasons].join('; ')}`;
	if (!reachable) return `registry ${name}: not reachable${why}`;
	const accepted = { yes: ', accepted', no: ', refused', unknown: '' }[login.accepted];
	const user = login.user === undefined ? 'anonymous' : `${login.user} by ${login.source}`;
	return `registry ${name}: reachable; login ${user}${accepted}; pull ${pull}; push ${push}; mount ${mount}${why}`;
}

function renderFinding({ code, message, fixes }: Finding, places: Diagnosis['places']): readonly string[] {
	const fitting = fixes.filter(({ place }) => places.includes(place));
	const shown = fitting.length === 0 ? fixes.slice(0, MAX_FIXES) : fitting.slice(0, 1);
	return ['', `${code}: ${message}`, ...shown.map(({ place, fix }) => `  ${place}: ${fix}`)];
}

/** Whether the job runs in the builder image, nobody knows who was not told the image. */
function withoutBest(rungs: Diagnosis['rungs']): string {
	const isUnknown = rungs.some(({ status }) => status === 'unknown');
	if (!isUnknown) return 'no build would work here; see docs/doctor.md';
	return 'no rung above 6 works; whether a job in the builder image does is found out by s2oci doctor BUILDER';
}

function renderBest({ best, rungs }: Diagnosis): string {
	if (best === undefined) return `\n${withoutBest(rungs)}`;
	const name = rungs.find(({ rung }) => rung === best.rung)?.name ?? '';
	return `\nbest: rung ${best.rung}, ${name}, with ${best.sandbox} (${best.reason})`;
}
