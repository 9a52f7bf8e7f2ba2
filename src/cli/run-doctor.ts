import type { Diagnosis } from '../pipeline/doctor/diagnosis.js';
import type { Perform } from './command.js';
import type { DoctorArguments } from './doctor-command.js';
import { EXIT_CODES } from './exit-code.js';
import { listenForInterrupt } from './interrupt.js';
import { readPartialRequest } from './store-options.js';

/** Prints what was found; resolves with 0 when a build would work, 4 when it would not, 3 when a named registry fails. */
export const runDoctor: Perform<DoctorArguments> = async ({ value }, { io }) => {
	const { targets, json, ...host } = value;
	const request = readPartialRequest(host, io.env);
	using interrupt = listenForInterrupt(io.signal);
	const [{ diagnose }, { parseTarget }] = await Promise.all([
		import('../pipeline/doctor/doctor.js'),
		import('../pipeline/doctor/target.js'),
	]);
	const diagnosis = await diagnose(request, targets.map(parseTarget), interrupt.signal);
	if (json) io.stdout.write(`${JSON.stringify(diagnosis, undefined, '\t')}\n`);
	else io.stdout.write((await import('./render-diagnosis.js')).renderDiagnosis(diagnosis));
	return statusOf(diagnosis);
};

function statusOf({ best, registries }: Diagnosis): number {
	if (best === undefined) return EXIT_CODES.HOST_NO_NAMESPACES;
	return registries.every(({ ok }) => ok) ? 0 : EXIT_CODES.REGISTRY_UNREACHABLE;
}
