import type { TestContext } from 'vitest';

declare module 'vitest' {
	interface TaskMeta {
		/** Why the test was skipped; vitest's JSON report has no other place for it. */
		skipped?: string;
	}
}

/** Skips the test unless `condition`. `reason` says what this host lacks; scripts/test shows it in its summary. */
export function needs(context: TestContext, condition: boolean, reason: string): asserts condition {
	if (!condition) skipFor(context, reason);
}

/** Skips the test for `reason`, unless that is undefined. The only way to skip: what is skipped without a reason counts as failed. */
export function skipFor(context: TestContext, reason: string | undefined): void {
	if (reason === undefined) return;
	context.task.meta.skipped = reason;
	context.skip(reason);
}
