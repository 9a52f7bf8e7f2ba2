import { type Grammar, switchOption } from './options.js';
import { type StoreArguments, storeOptions } from './store-options.js';

/** The arguments of `s2oci store`, as typed. */
export interface StoreListArguments extends StoreArguments {
	readonly json: boolean;
}

/** The grammar and the help of `s2oci store`. */
export const storeCommand: Grammar<StoreListArguments> = {
	name: 'store',
	description: 'Show what is in the layer store: layers with their size and last use, recorded images, and the total.',
	examples: [
		{ description: 'Look into the default store', command: 's2oci store' },
		{ description: 'Sum up the layers of a shared store', command: "s2oci store --store /cache --json | jq '.bytes'" },
	],
	args: { json: switchOption('json', 'print one JSON document'), ...storeOptions },
};
