import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { isAllowed, type UidRange } from './allowed-uids.js';
import type { Contract, UserOrigin } from './contract.js';

/** One user that something will run as, and who says so. */
interface Claim {
	readonly text: string;
	readonly from: string;
}

const NUMBER = /^\d+$/;

/**
 * Checks every user that `contract` names against `--allowed-uids`, before any work (S2I 9.1): each USER of its ONBUILD instructions,
 * then who runs its script (assemble, or assemble-runtime of a runtime image), then its USER, which runs the result. Names and an
 * empty USER are not allowed: only a number tells who it is. Throws IMAGE_USER_NOT_ALLOWED.
 */
export function checkUsers(contract: Contract, role: 'builder' | 'runtime', allowed: readonly UidRange[]): void {
	const image = `the ${role} image`;
	const claims: readonly Claim[] = [
		...onBuildUsers(contract.onBuild).map((text) => ({ text, from: `ONBUILD USER of ${image}` })),
		...scriptUser(contract, role),
		{ text: contract.user, from: `USER of ${image}` },
	];
	for (const { text, from } of claims) {
		const [user = ''] = text.split(':');
		if (!NUMBER.test(user) || !isAllowed(Number(user), allowed)) throw notAllowed(text, from, allowed);
	}
}

/**
 * Checks the uid that `text` turned out to mean, when the /etc/passwd of the image is known. Throws IMAGE_USER_NOT_ALLOWED.
 */
export function checkResolvedUser(text: string, uid: number, allowed: readonly UidRange[]): void {
	if (!isAllowed(uid, allowed)) throw notAllowed(text, `uid ${uid}, which /etc/passwd of the image gives to`, allowed);
}

function scriptUser(contract: Contract, role: 'builder' | 'runtime'): readonly Claim[] {
	const [text, origin, name] =
		role === 'builder'
			? ([contract.assembleUser, contract.assembleUserFrom, 'assemble-user'] as const)
			: ([contract.assembleRuntimeUser, contract.assembleRuntimeUserFrom, 'assemble-runtime-user'] as const);
	const from: Readonly<Record<UserOrigin, string | undefined>> = {
		option: `--${name}`,
		label: `label io.openshift.s2i.${name} of the ${role} image`,
		image: undefined,
	};
	const said = from[origin];
	return said === undefined ? [] : [{ text, from: said }];
}

function onBuildUsers(instructions: readonly string[]): readonly string[] {
	return instructions.flatMap((instruction) => {
		const match = /^\s*USER(?:\s+(.*))?$/is.exec(instruction);
		return match === null ? [] : [(match[1] ?? '').trim()];
	});
}

function notAllowed(text: string, from: string, allowed: readonly UidRange[]): BuildError {
	const ranges = allowed
		.map(({ first, last }) => (first === last ? String(first) : `${first}-${last ?? ''}`))
		.join(',');
	const user = JSON.stringify(redact(text).slice(0, 100));
	return new BuildError('IMAGE_USER_NOT_ALLOWED', `${from} ${user} is not one of the allowed uids ${ranges}`, {
		hint: 'A user must be given as a number in the range: choose another image or user, or change --allowed-uids.',
	});
}
