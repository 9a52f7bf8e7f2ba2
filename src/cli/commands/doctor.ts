import type { Diagnosis } from '../../pipeline/doctor/diagnosis.js';
import type { Definition, Perform } from '../command.js';
import { EXIT_CODES } from '../exit-code.js';
import { hostOptions, readHostRequest } from '../host-options.js';
import { listenForInterrupt } from '../interrupt.js';
import { flag, type Grammar, several } from '../options.js';

const { dockerConfig, insecureRegistries, caBundle, store } = hostOptions;

const doctorArguments = {
	targets: several('registry-or-image', 'a host with a dot or a port, or an image whose repository is looked at'),
	json: flag('json', 'print one JSON document'),
	host: { dockerConfig, insecureRegistries, caBundle, store },
};

/** The grammar and the help of `s2oci doctor`. */
export const doctorCommand: Grammar<typeof doctorArguments> = {
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
};

/** Prints what was found; resolves with 0 when a build would work, 4 when it would not, 3 when a named registry fails. */
const runDoctor: Perform<typeof doctorArguments> = async ({ value }, { io }) => {
	const { targets, json, host } = value;
	const request = readHostRequest(host, io);
	using interrupt = listenForInterrupt(io.signal);
	const [{ diagnose }, { parseTarget }] = await Promise.all([
		import('../../pipeline/doctor/doctor.js'),
		import('../../pipeline/doctor/target.js'),
	]);
	const diagnosis = await diagnose(request, targets.map(parseTarget), interrupt.signal);
	if (json) io.stdout.write(`${JSON.stringify(diagnosis, undefined, '\t')}\n`);
	else io.stdout.write((await import('../render-diagnosis.js')).renderDiagnosis(diagnosis));
	return statusOf(diagnosis);
};

function statusOf({ best, registries }: Diagnosis): number {
	if (best === undefined) return EXIT_CODES.HOST_NO_NAMESPACES;
	return registries.every(({ ok }) => ok) ? 0 : EXIT_CODES.REGISTRY_UNREACHABLE;
}

/** `s2oci doctor`. */
export const command: Definition<typeof doctorArguments> = {
	grammar: doctorCommand,
	perform: runDoctor,
};
