import { BuildError } from '../errors.js';

/** The last second of the year 9999, beyond which RFC 3339 has no dates. */
const MAX_SECONDS = 253_402_300_799;
const SECONDS = /^\d{1,12}$/;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** What decides the time of a build, the first that is there. */
export interface TimestampInput {
	/** `--timestamp`, in seconds since 1970. */
	readonly timestamp: number | undefined;
	/** `SOURCE_DATE_EPOCH` of the caller, as it is. */
	readonly sourceDateEpoch: string | undefined;
	/** The commit's time, else the newest time in the source, in seconds since 1970. */
	readonly source: number;
}

/**
 * Seconds since 1970, or an RFC 3339 time such as `2025-06-15T15:06:40Z`, as whole seconds since 1970, rounded down. Undefined for
 * anything else, and for what is before 1970 or after the year 9999.
 */
export function parseTimestamp(text: string): number | undefined {
	if (SECONDS.test(text)) return withinLimits(Number(text));
	if (!RFC_3339.test(text)) return undefined;
	const date = new Date(text.replace(' ', 'T').toUpperCase());
	return isRealDate(text, date) ? withinLimits(Math.floor(date.getTime() / 1000)) : undefined;
}

/**
 * The time, in seconds since 1970, that no file of the new layer is newer than, and that the image is created at. An empty
 * `SOURCE_DATE_EPOCH` is none. Throws USAGE for a `SOURCE_DATE_EPOCH` that is no number of seconds, as
 * reproducible-builds.org/specs/source-date-epoch asks for.
 */
export function chooseTimestamp({ timestamp, sourceDateEpoch, source }: TimestampInput): number {
	if (timestamp !== undefined) return timestamp;
	if (sourceDateEpoch === undefined || sourceDateEpoch === '') return source;
	const seconds = SECONDS.test(sourceDateEpoch) ? withinLimits(Number(sourceDateEpoch)) : undefined;
	if (seconds !== undefined) return seconds;
	throw new BuildError('USAGE', 'SOURCE_DATE_EPOCH is not a number of seconds since 1970', {
		hint: 'Set it to one, such as $(git log -1 --format=%ct), or unset it.',
	});
}

function withinLimits(seconds: number): number | undefined {
	return seconds <= MAX_SECONDS && seconds >= 0 ? seconds : undefined;
}

/** Date takes the 31st of February for the 3rd of March. */
function isRealDate(text: string, date: Date): boolean {
	const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
	return !Number.isNaN(date.getTime()) && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
