import type { HostRequest } from '../pipeline/request.js';
import { type HostArguments, hostOptions } from './host-options.js';
import { readHostRequest } from './host-request.js';
import type { Arguments } from './options.js';

/** Which store a command looks after, as typed, and who may touch its files. */
export type StoreArguments = Pick<HostArguments, 'store' | 'userns'>;

/** The options of {@link StoreArguments}. */
export const storeOptions: Arguments<StoreArguments> = { userns: hostOptions.userns, store: hostOptions.store };

const NONE: HostArguments = {
	platform: undefined,
	dockerConfig: undefined,
	insecureRegistries: [],
	caBundle: undefined,
	isolation: undefined,
	userns: undefined,
	rootfs: undefined,
	store: undefined,
	quiet: false,
	loglevel: undefined,
	logFormat: undefined,
};

/** A request with the host's defaults for all that `args` do not say. Throws USAGE. */
export function readPartialRequest(args: Partial<HostArguments>, env: HostRequest['env']): HostRequest {
	return readHostRequest({ ...NONE, ...args }, env);
}
