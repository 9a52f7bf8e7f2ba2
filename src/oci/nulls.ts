import type * as v from 'valibot';

/** The parts of a valibot schema that say where values of which kind are. */
interface Shape {
	readonly type: string;
	readonly entries?: Readonly<Record<string, Shape>>;
	readonly item?: Shape;
	readonly value?: Shape;
	readonly wrapped?: Shape;
}

/**
 * JSON as the tools written in Go read it, with `schema` for their types: `null` means nothing was written (encoding/json, Unmarshal). A
 * field that is null is absent, an element or a value of a map that is null is the zero value of its type. What the schema does not know
 * stays as it is, as does the order of all fields; equal input is given back where nothing is null.
 */
export function withoutNulls(schema: v.GenericSchema, value: unknown): unknown {
	return plain(schema, value);
}

function plain(schema: Shape, value: unknown): unknown {
	const shape = unwrapped(schema);
	if (typeof value !== 'object' || value === null) return value;
	if (Array.isArray(value)) return shape.item === undefined ? value : plainItems(shape.item, value);
	const fields = Object.entries(value);
	if (shape.entries !== undefined) return plainFields(shape.entries, value, fields);
	const { value: each } = shape;
	if (each === undefined) return value;
	return rebuilt(
		value,
		fields.map(([key, field]) => [key, field === null ? zeroOf(each) : plain(each, field)]),
	);
}

function plainItems(item: Shape, values: readonly unknown[]): unknown {
	const items = values.map((each) => (each === null ? zeroOf(item) : plain(item, each)));
	return items.every((each, index) => each === values[index]) ? values : items;
}

function plainFields(
	entries: Readonly<Record<string, Shape>>,
	value: object,
	fields: readonly (readonly [string, unknown])[],
): unknown {
	const kept = fields.flatMap(([key, field]): readonly (readonly [string, unknown])[] => {
		const known = Object.hasOwn(entries, key) ? entries[key] : undefined;
		if (known === undefined) return [[key, field]];
		return field === null ? [] : [[key, plain(known, field)]];
	});
	return rebuilt(value, kept);
}

/** `fields` as an object; `value` itself when it has just these. */
function rebuilt(value: object, fields: readonly (readonly [string, unknown])[]): unknown {
	const old = value as Readonly<Record<string, unknown>>;
	const isSame = fields.length === Object.keys(value).length && fields.every(([key, field]) => old[key] === field);
	return isSame ? value : Object.fromEntries(fields);
}

function unwrapped(schema: Shape): Shape {
	return schema.wrapped === undefined ? schema : unwrapped(schema.wrapped);
}

function zeroOf(schema: Shape): unknown {
	const { type, item, entries, value } = unwrapped(schema);
	if (item !== undefined) return [];
	if (entries !== undefined || value !== undefined) return {};
	return { string: '', number: 0, boolean: false }[type] ?? null;
}
