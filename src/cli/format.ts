const SHORT = 19;

/** `bytes` for people: three digits and a decimal unit. */
export function formatBytes(bytes: number): string {
	let value = bytes;
	let unit = 'B';
	for (const larger of ['kB', 'MB', 'GB', 'TB']) {
		if (value < 999.5) break;
		value /= 1000;
		unit = larger;
	}
	return `${value >= 99.95 || unit === 'B' ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
}

/** `ms` milliseconds for people. */
export function formatDuration(ms: number): string {
	if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
	const seconds = Math.round(ms / 1000);
	return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** A time for people, to the minute, in UTC. */
export function formatTime(ms: number): string {
	return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** The first characters of a digest, which tell it from all others that a person will meet. */
export function shortDigest(digest: string): string {
	return digest.slice(0, SHORT);
}
