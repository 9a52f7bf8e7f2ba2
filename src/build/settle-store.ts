import { findStore } from '../worker/store-place.js';

/** `request` with the directory that its store really is, which is safe to use. Throws HOST_STORE. */
export function settleStore<T extends { readonly store: string }>(request: T): T {
	return { ...request, store: findStore(request.store) };
}
