import { styleText } from 'node:util';
import { isBuildError, messageOf } from '../errors.js';
import { redact } from '../redact.js';

/**
 * `error` as the lines a person reads: what failed, then what to do now. Anything but a BuildError is a bug and shows its stack.
 * Secrets in URLs and control characters are taken out. Ends with a line break.
 */
export function renderError(error: unknown, color: boolean): string {
	const label = (text: string, style: 'red' | 'cyan') =>
		color ? styleText(style, text, { validateStream: false }) : text;
	if (isBuildError(error)) {
		const hint = error.hint === undefined ? '' : `${label('hint:', 'cyan')} ${redact(error.hint)}\n`;
		return `${label('error:', 'red')} ${redact(error.message)}\n${hint}`;
	}
	const stack = error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
	return [
		`${label('error:', 'red')} ${redact(stack)}`,
		`${label('hint:', 'cyan')} this is a bug in s2oci, please report it with the lines above`,
		'',
	].join('\n');
}
