import type { Finding } from '../../pipeline/doctor/advice.js';
import type { Diagnosis, RegistryTrial, RungTrial, StoreState } from '../../pipeline/doctor/diagnosis.js';
import { checkHostFiles } from '../check-request.js';
import { EXIT_CODES } from '../exit-code.js';
import { formatBytes } from '../format.js';
import { hostOptions, readHostRequest } from '../host-options.js';
import { listenForInterrupt } from '../interrupt.js';
import { flag, several } from '../options.js';
import type { Definition } from '../parse-command.js';

const { dockerConfig, insecureRegistries, caBundle, store } = hostOptions;

const doctorArguments = {
	targets: several(
		'registry-or-image',
		'a host with a dot or a port, or an image on a registry, whose repository is looked at',
	),
	json: flag('json', 'print one JSON document'),
	host: { dockerConfig, insecureRegistries, caBundle, store },
};

/** `s2oci doctor`. */
export const command: Definition<typeof doctorArguments> = {
	name: 'doctor',
	description:
		'Find out what builds here can use, by trying it, what is in the way and how to fix it; and whether registries let us pull and push.',
	examples: [
		{ description: 'Look at this host', command: 's2oci doctor' },
		{ description: 'Look at a registry, too', command: 's2oci doctor registry.example:5000' },
		{
			description: 'See whether a job can pull the builder and push the result',
			command: 's2oci doctor quay.io/sclorg/nodejs-22-c9s registry.example/team/app --json',
		},
	],
	args: doctorArguments,
	/** Prints what was found; resolves with 0 when a build would work, 4 when it would not, 3 when a named registry fails. */
	perform: async ({ value }, { io }) => {
		const { targets, json, host } = value;
		const request = readHostRequest(host, io);
		await checkHostFiles(request);
		using interrupt = listenForInterrupt(io.signal);
		const { diagnose } = await import('../../pipeline/doctor/doctor.js');
		const diagnosis = await diagnose(request, targets, interrupt.signal);
		if (json) io.stdout.write(`${JSON.stringify(diagnosis, undefined, '\t')}\n`);
		else io.stdout.write(renderDiagnosis(diagnosis));
		return statusOf(diagnosis);
	},
};

function statusOf({ best, registries }: Diagnosis): number {
	if (best === undefined) return EXIT_CODES.HOST_NO_NAMESPACES;
	return registries.every(({ ok }) => ok) ? 0 : EXIT_CODES.REGISTRY_UNREACHABLE;
}

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
	if (!isUnknown)
		return 'no build would work here; docs/doctor.md in the package of s2oci says what each of these lines means';
	return 'no rung above 6 works; whether a job in the builder image does is found out by s2oci doctor BUILDER';
}

function renderBest({ best, rungs }: Diagnosis): string {
	if (best === undefined) return `\n${withoutBest(rungs)}`;
	const name = rungs.find(({ rung }) => rung === best.rung)?.name ?? '';
	return `\nbest: rung ${best.rung}, ${name}, with ${best.sandbox} (${best.reason})`;
}
