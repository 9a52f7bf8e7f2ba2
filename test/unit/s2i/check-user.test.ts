import { describe, expect, test } from 'vitest';
import type { ContainerConfig } from '../../../src/oci/image.js';
import { parseAllowedUids } from '../../../src/s2i/allowed-uids.js';
import { checkResolvedUser, checkUsers } from '../../../src/s2i/check-user.js';
import { readContract } from '../../../src/s2i/contract.js';

interface Case {
	readonly user?: string;
	readonly label?: string;
	readonly option?: string;
	readonly onBuild?: readonly string[];
}

function check({ user, label, option, onBuild }: Case, ranges = '1-', role: 'builder' | 'runtime' = 'builder'): void {
	const name = role === 'builder' ? 'assemble-user' : 'assemble-runtime-user';
	const config: ContainerConfig = {
		...(user !== undefined && { User: user }),
		...(label !== undefined && { Labels: { [`io.openshift.s2i.${name}`]: label } }),
		...(onBuild !== undefined && { OnBuild: onBuild }),
	};
	const overrides = role === 'builder' ? { assembleUser: option } : { assembleRuntimeUser: option };
	checkUsers(readContract(config, overrides), role, parseAllowedUids(ranges));
}

describe('--allowed-uids', () => {
	test.each<[Case, string]>([
		[{ user: '1001' }, '1-'],
		[{ user: '1001:0' }, '1-'],
		[{ user: '1001:' }, '1-'],
		[{ user: '01001' }, '1001'],
		[{ user: '0' }, '0'],
		[{ user: '0' }, '-5'],
		[{ user: '431', label: '431' }, '431'],
		[{ user: '1001', label: '0' }, '0,1001'],
		[{ user: '1001', label: 'root', option: '5' }, '1-'],
		[{ user: '1001', onBuild: ['RUN id', 'USER 1002', 'user 3:0'] }, '1-'],
		[{ user: '1001', onBuild: ['RUN USER 0', 'ENV USER=0', 'COPY USER /'] }, '1-'],
	])('allows %j for %s', (image, ranges) => {
		expect(() => check(image, ranges)).not.toThrow();
	});

	test.each<[Case, string, string]>([
		[{}, '1-', 'USER of the builder image "" is'],
		[{}, '0-', 'USER of the builder image "" is'],
		[{ user: 'root' }, '0-', 'USER of the builder image "root" is'],
		[{ user: 'default' }, '1-', 'USER of the builder image "default" is'],
		[{ user: '0' }, '1-', 'USER of the builder image "0" is'],
		[{ user: '0000' }, '1-', 'USER of the builder image "0000" is'],
		[{ user: ':50' }, '0-', 'USER of the builder image ":50" is'],
		[{ user: '-1' }, '1-', 'USER of the builder image "-1" is'],
		[{ user: '1e3' }, '1-', 'USER of the builder image "1e3" is'],
		[{ user: '1001' }, '1-1000,1002-', 'USER of the builder image "1001" is not one of the allowed uids 1-1000,1002-'],
		[{ user: '1001', label: '0' }, '1-', 'label io.openshift.s2i.assemble-user of the builder image "0" is'],
		[{ user: '1001', label: '5', option: '0' }, '1-', '--assemble-user "0" is'],
		[{ user: '1001', option: 'nobody' }, '1-', '--assemble-user "nobody" is'],
		[{ user: '1001', onBuild: ['USER 0'] }, '1-', 'ONBUILD USER of the builder image "0" is'],
		[
			{ user: '1001', option: '5', onBuild: ['USER 5', '  user\troot'] },
			'1-',
			'ONBUILD USER of the builder image "root" is',
		],
		[{ user: '1001', onBuild: ['USER $X'] }, '1-', 'ONBUILD USER of the builder image "$X" is'],
		[{ user: '1001', onBuild: ['USER'] }, '1-', 'ONBUILD USER of the builder image "" is'],
	])('refuses %j for %s, and says what it is', (image, ranges, message) => {
		expect(() => check(image, ranges)).toThrow(
			expect.objectContaining({
				code: 'IMAGE_USER_NOT_ALLOWED',
				message: expect.stringContaining(message) as string,
			}) as Error,
		);
	});

	test('an allowed --assemble-user does not hide the user that runs the result', () => {
		expect(() => check({ user: '0', option: '5' })).toThrow('USER of the builder image "0"');
		expect(() => check({ user: '0', label: '5' })).toThrow('USER of the builder image "0"');
	});

	test('is checked in the order ONBUILD, who runs the script, USER', () => {
		expect(() => check({ user: '0', option: '0', onBuild: ['USER 0'] })).toThrow('ONBUILD');
		expect(() => check({ user: '0', option: '0' })).toThrow('--assemble-user');
	});

	test('holds for a runtime image too', () => {
		expect(() => check({ user: '1001', option: '0' }, '1-', 'runtime')).toThrow('--assemble-runtime-user "0"');
		expect(() => check({ user: '1001', label: '0' }, '1-', 'runtime')).toThrow('of the runtime image "0"');
		expect(() => check({ user: '0' }, '1-', 'runtime')).toThrow('USER of the runtime image "0"');
		expect(() => check({ user: '7', label: '8' }, '1-', 'runtime')).not.toThrow();
	});

	test('is not fooled by a user of the image whose name is a number', () => {
		const ranges = parseAllowedUids('1-');
		expect(() => checkResolvedUser('1001', 0, ranges)).toThrow(
			expect.objectContaining({ code: 'IMAGE_USER_NOT_ALLOWED' }) as Error,
		);
		expect(() => checkResolvedUser('1001', 1001, ranges)).not.toThrow();
	});
});
