import { ADVICE, type Advice, type FindingCode } from './advice.js';
import { ENVIRONMENTS, type EnvironmentName } from './ci-environment.js';

/** Something that is in the way, or may be, with one line for each kind of place that says what to do. */
export interface Finding {
	readonly code: FindingCode;
	readonly message: string;
	/** The fitting place first. */
	readonly fixes: readonly { readonly place: EnvironmentName; readonly fix: string }[];
}

/** Every code there is. */
export const FINDING_CODES: readonly FindingCode[] = Object.keys(ADVICE) as FindingCode[];

/** The finding `code` with its fixes: those of `places` first and in that order, then all others. */
export function describeFinding(code: FindingCode, places: readonly EnvironmentName[]): Finding {
	const { message, fixes }: Advice = ADVICE[code];
	const ordered = [...places, ...ENVIRONMENTS.filter((place) => !places.includes(place))];
	return {
		code,
		message,
		fixes: ordered.flatMap((place) => (fixes[place] === undefined ? [] : { place, fix: fixes[place] })),
	};
}
