import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';

/** Where something is in an object: keys, and indices of lists. */
export type Path = readonly (string | number)[];

/** One Kubernetes object of a file. */
export interface YamlObject {
	/** As JSON has it, without what is null. */
	readonly value: unknown;
	/** `FILE:LINE:COLUMN` of what is at `path`, or of the nearest that is there. */
	readonly at: (path: Path) => string;
}

/** A chart of aliases that would grow beyond this is refused. */
const MAX_ALIASES = 100;

/**
 * The objects of `text`, which is YAML or JSON: one, several documents, or a List (`oc get ... -o yaml`). `file` is for messages. Throws USAGE
 * with the place of what is no YAML.
 */
export function readYamlObjects(text: string, file: string): readonly YamlObject[] {
	const lines = new LineCounter();
	const name = redact(file);
	const place = (offset: number) => {
		const { line, col } = lines.linePos(offset);
		return `${name}:${line}:${col}`;
	};
	try {
		const documents = parseAllDocuments(text, { lineCounter: lines, merge: true, prettyErrors: false });
		return documents.flatMap((document) => {
			const [error] = document.errors;
			if (error !== undefined) throw unreadable(`${place(error.pos[0])}: ${redact(error.message)}`);
			return objectsOf(document, place);
		});
	} catch (error) {
		if (error instanceof BuildError) throw error;
		// Too many aliases, or lists too deep for the stack.
		throw unreadable(`${name}: ${redact(error instanceof Error ? error.message : String(error))}`);
	}
}

function objectsOf(document: Document, place: (offset: number) => string): readonly YamlObject[] {
	const withoutNull = (_key: unknown, value: unknown) => value ?? undefined;
	const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES, reviver: withoutNull });
	if (value === undefined) return [];
	const at = (path: Path) => place(offsetOf(document, path));
	if (!isList(value)) return [{ value, at }];
	return value.items.map((item, index) => ({ value: item, at: (path) => at(['items', index, ...path]) }));
}

function isList(value: unknown): value is { readonly items: readonly unknown[] } {
	return (
		typeof value === 'object' &&
		value !== null &&
		'items' in value &&
		Array.isArray(value.items) &&
		'kind' in value &&
		typeof value.kind === 'string' &&
		value.kind.endsWith('List')
	);
}

function offsetOf(document: Document, path: Path): number {
	let node: unknown = document.contents;
	let offset = document.contents?.range?.[0] ?? 0;
	for (const step of path) {
		const found = childOf(isAlias(node) ? node.resolve(document) : node, step);
		if (found === undefined) return offset;
		offset = found.offset ?? offset;
		node = found.node;
	}
	return offset;
}

/** What is at `step` of `node`, and where its key is, or in a list itself; undefined when there is none. */
function childOf(
	node: unknown,
	step: string | number,
): { readonly node: unknown; readonly offset: number | undefined } | undefined {
	if (isMap(node)) {
		const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
		return pair && { node: pair.value, offset: (pair.key as Node).range?.[0] };
	}
	if (!isSeq(node)) return undefined;
	const item = node.items[Number(step)] as Node | undefined;
	return item && { node: item, offset: item.range?.[0] };
}

function unreadable(message: string): BuildError {
	return new BuildError('USAGE', message, {
		hint: 'Give YAML or JSON, as `oc get buildconfig NAME -o yaml` prints it.',
	});
}
