import { BuildError } from '../errors.js';
import type { Platform } from './descriptor.js';

const PART = /^[A-Za-z0-9_.-]{1,64}$/;
const ARCHITECTURES: Readonly<Record<string, Platform>> = {
	x64: { os: 'linux', architecture: 'amd64' },
	arm64: { os: 'linux', architecture: 'arm64' },
	arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
	ia32: { os: 'linux', architecture: '386' },
	ppc64: { os: 'linux', architecture: 'ppc64le' },
	mips64el: { os: 'linux', architecture: 'mips64le' },
};
/** Other names of architectures, as containerd knows them (platforms/database.go). */
const OTHER_NAMES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
	x86_64: ['amd64'],
	'x86-64': ['amd64'],
	aarch64: ['arm64'],
	i386: ['386'],
	armhf: ['arm', 'v7'],
	armel: ['arm', 'v6'],
};
const LEVELS: Readonly<Record<string, number>> = { amd64: 1, arm: 7, arm64: 8 };

/** `os/architecture[/variant]` as a platform. Throws USAGE for anything else. */
export function parsePlatform(text: string): Platform {
	const [os, architecture, variant, ...rest] = text.split('/');
	const parts = [os, architecture, ...(variant === undefined ? [] : [variant])];
	if (
		os === undefined ||
		architecture === undefined ||
		rest.length > 0 ||
		!parts.every((part) => PART.test(part ?? ''))
	) {
		throw new BuildError('USAGE', `not a platform: ${JSON.stringify(text.slice(0, 100))}`, {
			hint: 'Write it as os/architecture[/variant], for example linux/arm64 or linux/arm/v7.',
		});
	}
	return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** `platform` as `os/architecture[/variant]`. */
export function formatPlatform(platform: Platform): string {
	return [platform.os, platform.architecture, ...(platform.variant ? [platform.variant] : [])].join('/');
}

/** The Linux platform of a host whose `process.arch` is `arch`. */
export function hostPlatform(arch: string): Platform {
	return ARCHITECTURES[arch] ?? { os: 'linux', architecture: arch };
}

/** Whether a document says something there: tools in Go write `''` for nothing. */
export function isSaid(text: string | undefined): text is string {
	return text !== undefined && text !== '';
}

/**
 * What `said` of a platform means for `wanted`: nothing and `''` are no statement, so they are what is wanted; other spellings of an
 * architecture are the usual one (containerd, platforms.Normalize). Without an architecture there is no variant of it either.
 */
export function completePlatform(said: Partial<Platform>, wanted: Platform): Platform {
	const os = isSaid(said.os) ? said.os.toLowerCase() : wanted.os;
	if (!isSaid(said.architecture)) return { ...wanted, os };
	const name = said.architecture.toLowerCase();
	const [architecture, implied] = OTHER_NAMES[name] ?? [name];
	const variant = isSaid(said.variant) ? said.variant.toLowerCase() : implied;
	return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/**
 * How well a host of platform `wanted` runs images for `offered`: undefined when not at all, else the higher the better.
 * A host runs its own variant and the older ones, as in containerd's platform matching.
 */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
	if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
	const [want, offer] = [variantLevel(wanted), variantLevel(offered)];
	if (want !== undefined && offer !== undefined) return offer <= want ? offer : undefined;
	return wanted.variant === offered.variant ? 0 : undefined;
}

function variantLevel(platform: Platform): number | undefined {
	if (!platform.variant) return LEVELS[platform.architecture] ?? 0;
	const digits = /^v?([0-9]{1,3}(?:\.[0-9]{1,3})?)$/.exec(platform.variant)?.[1];
	return digits === undefined ? undefined : Number(digits);
}
