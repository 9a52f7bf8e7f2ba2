import { isBuildError } from '../errors.js';
import { type NamespacePlan, noNamespaces } from './user-namespace.js';

/** An attempt to start a worker, and why it came to nothing. */
export interface Refusal {
	readonly plan: NamespacePlan;
	readonly error: Error;
}

/** The errors after which another attempt is made. */
export const REFUSALS = ['HOST_NO_NAMESPACES', 'HOST_NO_OVERLAY', 'HOST_NO_SANDBOX'] as const;

/** What is wrong where nothing works: the overlay that was insisted on, a sandbox, or namespaces. */
export function allRefused(refusals: readonly Refusal[], rootfs: string): Error {
	const first = (code: (typeof REFUSALS)[number]) => refusals.find(({ error }) => isBuildError(error, code))?.error;
	const told = (rootfs === 'overlay' ? first('HOST_NO_OVERLAY') : undefined) ?? first('HOST_NO_SANDBOX');
	if (told !== undefined) return told;
	return noNamespaces(said(refusals), remedyOf(refusals));
}

/** What the attempts met, each thing once. */
export function said(refusals: readonly Refusal[]): string {
	return [...new Set(refusals.map(({ error }) => error.message))].join('; ');
}

/** What would help, as the last attempt that knows it says. */
export function remedyOf(refusals: readonly Refusal[]): string | undefined {
	return refusals.flatMap(({ error }) => (isBuildError(error) ? (error.hint ?? []) : [])).at(-1);
}
