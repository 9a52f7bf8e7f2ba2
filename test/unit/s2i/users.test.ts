import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { resolveUser } from '../../../src/s2i/users.js';

const passwd = `root:x:0:0:root:/root:/bin/bash
# comment:x:5:5::/:
bad:x:notanumber:0::/bad:
default:x:1001:0:Default:/opt/app-root/src:/sbin/nologin
1002:x:42:43::/named-by-number:
nohome:x:7:8::relative:
`;
const group = `root:x:0:
wheel:x:10:root,default
users:x:100:default,default
evil:x:99999999999:default
`;

test.each([
	['', { uid: 0, gid: 0, additionalGids: [10], home: '/root' }],
	['root', { uid: 0, gid: 0, additionalGids: [10], home: '/root' }],
	['default', { uid: 1001, gid: 0, additionalGids: [10, 100], home: '/opt/app-root/src' }],
	['1001', { uid: 1001, gid: 0, additionalGids: [10, 100], home: '/opt/app-root/src' }],
	['1001:0', { uid: 1001, gid: 0, additionalGids: [], home: '/opt/app-root/src' }],
	['default:wheel', { uid: 1001, gid: 10, additionalGids: [], home: '/opt/app-root/src' }],
	['1001:777', { uid: 1001, gid: 777, additionalGids: [], home: '/opt/app-root/src' }],
	['1000650000', { uid: 1000650000, gid: 0, additionalGids: [], home: '/' }],
	['1002', { uid: 1002, gid: 0, additionalGids: [], home: '/' }],
	['1001:', { uid: 1001, gid: 0, additionalGids: [10, 100], home: '/opt/app-root/src' }],
	['default:', { uid: 1001, gid: 0, additionalGids: [10, 100], home: '/opt/app-root/src' }],
	[':50', { uid: 0, gid: 50, additionalGids: [], home: '/root' }],
	[':wheel', { uid: 0, gid: 10, additionalGids: [], home: '/root' }],
	[':', { uid: 0, gid: 0, additionalGids: [10], home: '/root' }],
	['01001', { uid: 1001, gid: 0, additionalGids: [10, 100], home: '/opt/app-root/src' }],
	['0000000000000054321:0050', { uid: 54321, gid: 50, additionalGids: [], home: '/' }],
	['nohome', { uid: 7, gid: 8, additionalGids: [], home: '/' }],
	['2147483647', { uid: 2147483647, gid: 0, additionalGids: [], home: '/' }],
])('USER %j is resolved as Docker does', (text, user) => {
	expect(resolveUser(text, passwd, group)).toEqual(user);
});

test.each([
	'-1',
	'4294967296',
	'4294967295',
	'2147483648',
	'0x3e9',
	'1001:evil',
	'1001:nogroup',
	'nobody',
	'bad',
	'1:2:3',
	' 0',
	' ',
	'1001 ',
	'1001: ',
	'99999999999999999999',
	'1001:2147483648',
	'1001:-1',
	'1e3',
	'\u0661',
	'a\nb',
	'../x',
])('USER %j is refused', (text) => {
	expect(() => resolveUser(text, passwd, group)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }) as Error);
});

test('no text makes anything but a valid user or IMAGE_INVALID', () => {
	const line = fc
		.array(fc.oneof(fc.string(), fc.integer().map(String)), { maxLength: 8 })
		.map((parts) => parts.join(':'));
	const file = fc.array(line).map((lines) => lines.join('\n'));
	fc.assert(
		fc.property(line, file, file, (text, users, groups) => {
			try {
				const { uid, gid, additionalGids, home } = resolveUser(text, users, groups);
				for (const id of [uid, gid, ...additionalGids]) expect(id >= 0 && id < 2 ** 31).toBe(true);
				expect(home.startsWith('/')).toBe(true);
			} catch (error) {
				if (!isBuildError(error, 'IMAGE_INVALID')) throw error;
			}
		}),
	);
});

test('absurd lines are passed over', () => {
	const long = `long:x:5:5::/${'x'.repeat(5000)}:\n`;
	expect(() => resolveUser('long', long, '')).toThrow('is not in the /etc/passwd of the image');
	expect(resolveUser('default', long + passwd, group).uid).toBe(1001);
});
