import { runInNewContext } from 'node:vm';

/** What expressions of a workflow may name, such as `inputs` and `steps`. */
export type Contexts = Readonly<Record<string, unknown>>;

const EXPRESSION = /\$\{\{(.*?)\}\}/gs;
const QUOTED_OR_REFERENCE = /'(?:[^']|'')*'|[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*|\[\d+\])*/g;

/** `text` with the values of its expressions; one that is nothing but an expression is that value, whatever its type. */
export function evaluate(text: string, contexts: Contexts): unknown {
	const alone = /^\$\{\{((?:(?!\}\}).)*)\}\}$/s.exec(text.trim())?.[1];
	if (alone !== undefined) return valueOf(alone, contexts);
	return text.replace(EXPRESSION, (_all, expression: string) => textOf(valueOf(expression, contexts)));
}

/** The value as a variable or an input has it. */
export function textOf(value: unknown): string {
	if (value === undefined || value === null) return '';
	return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Comparisons, `fromJSON` and references, in which a member of nothing is nothing. Written as JavaScript, they mean the same. */
export function valueOf(expression: string, contexts: Contexts): unknown {
	const script = expression.replace(QUOTED_OR_REFERENCE, (word) => {
		if (word.startsWith("'")) return JSON.stringify(word.slice(1, -1).replaceAll("''", "'"));
		const [name = '', ...members] = word.split(/\.|(?=\[)/);
		return name + members.map((each) => (each.startsWith('[') ? `?.${each}` : `?.[${JSON.stringify(each)}]`)).join('');
	});
	return runInNewContext(script.replaceAll(').', ')?.'), { fromJSON: JSON.parse, ...contexts });
}
