import { expect, test } from 'vitest';
import { callbackBody } from '../../../src/pipeline/callback/report-callback.js';

const outcome = { success: true, labels: { team: 'blue' }, messages: ['one', 'two'] };

test('the body is success and labels; labels are left out when there are none', () => {
	expect(callbackBody('s2i', outcome)).toBe('{"success":true,"labels":{"team":"blue"}}');
	expect(callbackBody('s2i', { ...outcome, success: false, labels: {} })).toBe('{"success":false}');
});

test('the body of 2014 is the messages, a line each, and success', () => {
	expect(callbackBody('sti', outcome)).toBe('{"payload":"one\\ntwo","success":true}');
	expect(callbackBody('sti', { success: false, labels: {}, messages: [] })).toBe('{"payload":"","success":false}');
});

test('messages are redacted, and only the last 64 KiB are sent', () => {
	const messages = ['x'.repeat(70_000), 'clone of https://ada:s3cret@example.org/a?sig=s3cret failed\u001b[2J'];
	const { payload } = JSON.parse(callbackBody('sti', { ...outcome, messages })) as { readonly payload: string };
	expect(payload).toHaveLength(65_536);
	expect(payload).toMatch(/x\nclone of https:\/\/\[redacted\]@example\.org\/a\?\[redacted\] failed\[2J$/);
});
