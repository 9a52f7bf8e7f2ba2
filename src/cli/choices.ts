/** How progress can be reported; the first is the default. */
export const LOG_FORMATS = ['auto', 'tty', 'plain', 'json'] as const;

/** How much is reported, each level with what it adds. */
export const LOG_LEVELS: readonly string[] = ['0', '1', '2', '3', '4', '5'];

/** The forms of what a callback gets; the first is the default, but under the name `sti`. */
export const CALLBACK_FORMATS = ['s2i', 'sti'] as const;

/** What assemble can reach; the first is the default. */
export const NETWORKS = ['host', 'none'] as const;

/** `words` for a sentence, each with its note: `auto, tty (on a terminal) or json`. */
export function listed(words: readonly string[], notes: Readonly<Record<string, string>> = {}): string {
	const noted = words.map((word) => (notes[word] === undefined ? word : `${word} (${notes[word]})`));
	return `${noted.slice(0, -1).join(', ')} or ${noted.at(-1) ?? ''}`;
}
