import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { imageXattrs } from '../../../src/rootfs/image-xattrs.js';

/** `cap_net_raw+ep` as root of no namespace sets it, and as root of a namespace does (capability.h, vfs_cap_data and vfs_ns_cap_data). */
const PLAIN = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const inNamespace = (rootid: number): Buffer => {
	const bytes = Buffer.concat([Buffer.from('01000003', 'hex'), PLAIN.subarray(4), Buffer.alloc(4)]);
	bytes.writeUInt32LE(rootid, 20);
	return bytes;
};
const kept = (name: string, value: Buffer): Buffer | undefined => imageXattrs(new Map([[name, value]])).get(name);

describe('the extended attributes of an image', () => {
	test('are file capabilities and those of users, without those of overlay and of the host', () => {
		const names = [
			...['user.a', 'user.overlay.origin', 'user.overlayx', 'security.capability', 'security.selinux'],
			...['trusted.overlay.opaque', 'system.posix_acl_access', 'security.capability2'],
		];
		const found = imageXattrs(new Map(names.map((name) => [name, PLAIN])));
		expect([...found.keys()]).toEqual(['user.a', 'user.overlayx', 'security.capability']);
	});

	test('have capabilities of the namespace root as those of root', () => {
		expect(kept('security.capability', inNamespace(0))).toEqual(PLAIN);
		expect(kept('security.capability', PLAIN)).toEqual(PLAIN);
	});

	test('have other capabilities as they are', () => {
		for (const value of [inNamespace(1000), PLAIN.subarray(0, 12), inNamespace(0).subarray(0, 23), Buffer.alloc(0)]) {
			expect(kept('security.capability', value)).toEqual(value);
		}
		expect(kept('user.a', inNamespace(0))).toEqual(inNamespace(0));
	});

	test('are the same when taken twice, whatever their bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
				const once = imageXattrs(new Map([['security.capability', Buffer.from(bytes)]]));
				expect(imageXattrs(once)).toEqual(once);
			}),
		);
	});
});
