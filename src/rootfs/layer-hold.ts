import { appendFileSync, closeSync, openSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError } from '../errors.js';
import { fileText } from '../file-text.js';
import type { Libc } from '../linux/libc.js';

/**
 * Keeps `layers` (their directories) from being pruned, whether they are there already or come later, from when this resolves until the
 * build's scratch directory is removed. Throws HOST_STORE when the store stays locked for a minute.
 */
export type HoldLayers = (layers: readonly string[], signal: AbortSignal) => Promise<void>;

type Locks = Pick<Libc, 'tryLock'>;

const LOCK_NAME = 'holds.lock';
const HOLDS_NAME = 'holds';
const SCRATCHES = 'work';
const POLL_MS = 5;
const LIMIT_MS = 60_000;

/** The hold of the build whose scratch directory, in `store`, is `scratch`. */
export function openLayerHold(store: string, scratch: string, libc: Locks): HoldLayers {
	const held = new Set<string>();
	return async (layers, signal) => {
		const added = layers.map((layer) => relative(store, layer)).filter((name) => !held.has(name));
		if (added.length === 0) return;
		const write = () => appendFileSync(join(scratch, HOLDS_NAME), added.map((name) => `${name}\n`).join(''));
		if (locksWork(scratch, libc)) await whileLocked(store, libc, write, signal);
		else write();
		for (const name of added) held.add(name);
	};
}

/**
 * Runs `work` with the layers that builds hold, as paths relative to `store`, while no build can hold another one; so it must be short.
 * `scratch` is the caller's. Throws HOST_STORE where files cannot be locked, and when the store stays locked for a minute.
 */
export async function withHolds<T>(
	store: string,
	scratch: string,
	libc: Locks,
	work: (held: ReadonlySet<string>) => T,
	signal: AbortSignal,
): Promise<T> {
	if (locksWork(scratch, libc)) return whileLocked(store, libc, () => work(readHolds(store)), signal);
	throw new BuildError('HOST_STORE', `files in the store ${store} cannot be locked, so running builds cannot be told`, {
		hint: 'Use a store on a local file system; or remove this one by hand while no build runs.',
	});
}

/** The layers that builds hold now, as paths relative to `store`. */
export function readHolds(store: string): ReadonlySet<string> {
	const scratches = join(store, SCRATCHES);
	// A build that has just ended holds none, and not every name there is a directory.
	const holds = readdirSync(scratches).map((name) => fileText(join(scratches, name, HOLDS_NAME)));
	return new Set(holds.flatMap((text) => text.split('\n').filter(Boolean)));
}

async function whileLocked<T>(store: string, libc: Locks, work: () => T, signal: AbortSignal): Promise<T> {
	const lock = openSync(join(store, LOCK_NAME), 'a', 0o600);
	try {
		for (let waited = 0; !libc.tryLock(lock); waited += POLL_MS) {
			if (waited >= LIMIT_MS) throw locked(store);
			await delay(POLL_MS, undefined, { signal });
		}
		return work();
	} finally {
		closeSync(lock);
	}
}

/** Some network file systems know no locks. Nobody else locks a file in our own scratch directory. */
function locksWork(scratch: string, libc: Locks): boolean {
	const own = openSync(join(scratch, HOLDS_NAME), 'a', 0o600);
	try {
		return libc.tryLock(own);
	} finally {
		closeSync(own);
	}
}

function locked(store: string): BuildError {
	return new BuildError('HOST_STORE', `another s2oci keeps the store ${store} locked`, {
		hint: 'Look for an s2oci prune that was stopped, and continue or end it.',
	});
}
