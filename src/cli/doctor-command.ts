import { type HostArguments, hostOptions } from './host-options.js';
import { type Grammar, several, switchOption } from './options.js';

/** The arguments of `s2oci doctor`, as typed. */
export interface DoctorArguments
	extends Pick<HostArguments, 'dockerConfig' | 'insecureRegistries' | 'caBundle' | 'store'> {
	readonly targets: readonly string[];
	readonly json: boolean;
}

const { dockerConfig, insecureRegistries, caBundle, store } = hostOptions;

/** The grammar and the help of `s2oci doctor`. */
export const doctorCommand: Grammar<DoctorArguments> = {
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
	args: {
		targets: several('registry-or-image', 'a host with a dot or a port, or an image whose repository is looked at'),
		json: switchOption('json', 'print one JSON document'),
		...{ dockerConfig, insecureRegistries, caBundle, store },
	},
};
