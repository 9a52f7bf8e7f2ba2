import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.js';
import { makeScratch } from '../../host/make-scratch.js';
import { findStore } from '../../host/store-place.js';
import { realOf } from '../../host-path.js';
import { findMount } from '../../mountinfo.js';
import { printablePath } from '../../root-path.js';
import type { FindingCode } from './advice.js';
import type { StoreState } from './diagnosis.js';
import { isNetworkType, mountsHere, optionsOf } from './facts.js';

const LOW_BYTES = 2e9;

/** What the disk under `store` is like; the store is made when it does not exist. Why it cannot be written is in `reason`. */
export async function readStore(store: string): Promise<StoreState & { readonly reason: string | undefined }> {
	const { used, reason } = await tryStore(store);
	const path = realOf(used);
	const mount = findMount(mountsHere(), path);
	const [type, options] = [mount?.type ?? 'unknown', mount === undefined ? [] : optionsOf(mount)];
	const state = { freeBytes: freeOf(path), writable: reason === undefined };
	return {
		path,
		fileSystem: type,
		mountPoint: mount === undefined ? 'unknown' : printablePath(mount.path),
		mountOptions: options,
		...state,
		findings: judge({ type, options }, state),
		reason,
	};
}

function judge(
	{ type, options }: { readonly type: string; readonly options: readonly string[] },
	{ freeBytes = Number.POSITIVE_INFINITY, writable }: Pick<StoreState, 'freeBytes' | 'writable'>,
): readonly FindingCode[] {
	const signs: readonly (readonly [FindingCode, boolean])[] = [
		['STORE_UNWRITABLE', !writable],
		['NOEXEC', options.includes('noexec')],
		['NOSUID', options.includes('nosuid')],
		['OVERLAY_ON_OVERLAY', type === 'overlay'],
		['NETWORK_FILE_SYSTEM', isNetworkType(type)],
		['NO_SPACE', freeBytes < LOW_BYTES],
	];
	return signs.filter(([, isThere]) => isThere).map(([code]) => code);
}

async function tryStore(store: string): Promise<{ readonly used: string; readonly reason: string | undefined }> {
	let used = store;
	try {
		used = findStore(store);
		const probe = await makeScratch(used);
		writeFileSync(join(probe, 'file'), '.');
		rmSync(probe, { recursive: true });
		return { used, reason: undefined };
	} catch (error) {
		return { used, reason: messageOf(error) };
	}
}

function freeOf(path: string): number | undefined {
	for (let at = path; ; at = join(at, '..')) {
		try {
			const { bavail, bsize } = statfsSync(at);
			return bavail * bsize;
		} catch {
			if (at === '/') return undefined;
		}
	}
}
