import { expect, test } from 'vitest';
import { listenForInterrupt } from '../../../src/cli/interrupt.js';

test.each([
	['SIGINT', 130],
	['SIGTERM', 143],
	['SIGHUP', 129],
] as const)('%s aborts with INTERRUPTED and asks for %i', (name, status) => {
	const before = process.listenerCount(name);
	using interrupt = listenForInterrupt(undefined);
	expect(interrupt.exitStatus()).toBeUndefined();
	process.emit(name);
	expect(interrupt.signal.aborted).toBe(true);
	expect(interrupt.signal.reason).toMatchObject({ code: 'INTERRUPTED', message: `ended by ${name}` });
	expect(interrupt.exitStatus()).toBe(status);
	expect(process.listenerCount(name)).toBe(before);
});

test('after the first signal the kernel decides, so a second Ctrl-C ends the process', () => {
	const before = process.listenerCount('SIGTERM');
	using interrupt = listenForInterrupt(undefined);
	expect(process.listenerCount('SIGTERM')).toBe(before + 1);
	process.emit('SIGINT');
	expect(process.listenerCount('SIGTERM')).toBe(before);
	expect(interrupt.exitStatus()).toBe(130);
});

test('an outer signal aborts too, and listening ends with the command', () => {
	const before = process.listenerCount('SIGINT');
	const outer = new AbortController();
	{
		using interrupt = listenForInterrupt(outer.signal);
		outer.abort(new Error('enough'));
		expect(interrupt.signal.reason).toMatchObject({ message: 'enough' });
		expect(interrupt.exitStatus()).toBe(130);
	}
	expect(process.listenerCount('SIGINT')).toBe(before);
});
