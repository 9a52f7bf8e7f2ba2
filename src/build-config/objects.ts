import * as v from 'valibot';
import type { YamlObject } from './yaml-objects.js';

const schema = v.looseObject({
	kind: v.picklist(['Secret', 'ConfigMap']),
	metadata: v.looseObject({ name: v.string() }),
	data: v.optional(v.record(v.string(), v.string()), {}),
	stringData: v.optional(v.record(v.string(), v.string()), {}),
	binaryData: v.optional(v.record(v.string(), v.string()), {}),
});

/** What holds values in a cluster. */
export type ValueKind = 'Secret' | 'ConfigMap';

/** The values of the Secret or ConfigMap `name` by their keys (core/v1); undefined when `objects` have no such thing. */
export function valuesOf(
	objects: readonly YamlObject[],
	kind: ValueKind,
	name: string,
): ReadonlyMap<string, Buffer> | undefined {
	for (const { value } of objects) {
		const parsed = v.safeParse(schema, value);
		if (!parsed.success || parsed.output.kind !== kind || parsed.output.metadata.name !== name) continue;
		const { data, stringData, binaryData } = parsed.output;
		return new Map([
			...entriesOf(data, kind === 'Secret' ? 'base64' : 'utf8'),
			...entriesOf(binaryData, 'base64'),
			...entriesOf(stringData, 'utf8'),
		]);
	}
	return undefined;
}

function entriesOf(data: Readonly<Record<string, string>>, encoding: BufferEncoding) {
	return Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)] as const);
}
