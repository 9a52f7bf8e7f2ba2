import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import type { TestContext } from 'vitest';
import { parse } from 'yaml';
import { needs } from './needs.js';

/** Definitions of custom resources, which lie beside the checkout and are of the projects that own them. */
const SCHEMAS = fileURLToPath(new URL('../../../shared/schemas/', import.meta.url));

type Schema = Record<string, unknown>;

interface Definition {
	readonly spec: {
		readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
	};
}

/**
 * What is wrong with `resource` by the definition in `file`, unknown fields included; skips the test where the definitions are not there.
 * S2OCI_TEST_SCHEMAS names their directory, `../shared/schemas` by default.
 */
export function faultsOf(context: TestContext, file: string, version: string, resource: unknown): readonly string[] {
	const path = `${process.env['S2OCI_TEST_SCHEMAS'] ?? SCHEMAS}/${file}`;
	needs(context, existsSync(path), 'no definitions of custom resources in ../shared/schemas');
	const { spec } = parse(readFileSync(path, 'utf8')) as Definition;
	const schema = spec.versions.find(({ name }) => name === version)?.schema.openAPIV3Schema;
	if (schema === undefined) throw new Error(`${file} has no version ${version}`);
	const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(
		closed(schema) as Schema,
	);
	validate(resource);
	return (validate.errors ?? []).map(({ instancePath, message = '', params }) => {
		return `${instancePath} ${message} ${JSON.stringify(params)}`;
	});
}

/** `schema` with no fields but those that it names, as a cluster reads it with strict validation. */
function closed(schema: unknown): unknown {
	if (Array.isArray(schema)) return schema.map(closed);
	if (typeof schema !== 'object' || schema === null) return schema;
	const own: Schema = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
	const isOpen = own['x-kubernetes-preserve-unknown-fields'] === true || own['additionalProperties'] !== undefined;
	if (own['type'] !== 'object' || own['properties'] === undefined || isOpen) return own;
	const properties = own['properties'] as Schema;
	const isRoot = properties['apiVersion'] !== undefined && properties['metadata'] !== undefined;
	// The metadata of a resource is the cluster's own type, which definitions leave open.
	if (isRoot) properties['metadata'] = { type: 'object' };
	return { ...own, additionalProperties: false };
}
