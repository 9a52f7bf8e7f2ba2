import { redact } from '../redact.js';

/** How a build ended, for whom it concerns. `messages` is the end of what was printed, or the error. */
export interface CallbackOutcome {
	readonly success: boolean;
	/** Of the built image; empty when there is none. */
	readonly labels: Readonly<Record<string, string>>;
	readonly messages: readonly string[];
}

const MAX_PAYLOAD = 64 * 1024;

/**
 * The JSON that a callback gets: `{success, labels}`, without labels when there are none, or, as `sti` of 2014 had it,
 * `{payload, success}`, where the payload is the last 64 KiB of the messages, redacted.
 */
export function callbackBody(format: 's2i' | 'sti', { success, labels, messages }: CallbackOutcome): string {
	if (format === 'sti') return JSON.stringify({ payload: redact(messages.join('\n')).slice(-MAX_PAYLOAD), success });
	return JSON.stringify({ success, ...(Object.keys(labels).length > 0 && { labels }) });
}
