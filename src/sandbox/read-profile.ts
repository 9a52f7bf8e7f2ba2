import * as v from 'valibot';
import { parseJson } from '../json.js';
import { ACTIONS, OPERATORS, type Profile, type ProfileRule } from './profile.js';

/** A word that the engines know, and we do not do. */
const NOTIFY = 'SCMP_ACT_NOTIFY';
/** The kernel knows no higher error number, and no more arguments. */
const [MAX_ERRNO, LAST_ARGUMENT] = [4095, 5];
/** What the kernel takes as a program holds fewer. */
const [MAX_RULES, MAX_NAMES] = [4096, 4096];

/** null is what Go writes for a list, an object or a number that is not there. */
function optional<Schema extends v.GenericSchema>(schema: Schema) {
	return v.pipe(
		v.nullish(schema),
		v.transform((value) => value ?? undefined),
	);
}

const words = optional(v.pipe(v.array(v.string()), v.maxLength(MAX_NAMES)));
const errno = optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_ERRNO)));
/** Above 2^53, JSON in JavaScript is not exact. */
const value = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const action = v.pipe(
	v.string(),
	v.check((word) => word !== NOTIFY, 'SCMP_ACT_NOTIFY needs a program that answers, which there is none of here'),
	v.picklist(ACTIONS),
);
const conditions = optional(
	v.object({ arches: words, caps: words, minKernel: optional(v.pipe(v.string(), v.regex(/^\d{1,5}\.\d{1,5}$/))) }),
);
const comparison = v.object({
	index: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LAST_ARGUMENT)),
	value,
	valueTwo: optional(value),
	op: v.picklist(OPERATORS),
});
const rule = v.object({
	names: words,
	name: optional(v.string()),
	action,
	errnoRet: errno,
	args: optional(v.pipe(v.array(comparison), v.maxLength(MAX_RULES))),
	includes: conditions,
	excludes: conditions,
});
const schema = v.object({
	defaultAction: action,
	defaultErrnoRet: errno,
	architectures: words,
	archMap: optional(v.array(v.object({ architecture: v.string(), subArchitectures: words }))),
	syscalls: optional(v.pipe(v.array(rule), v.maxLength(MAX_RULES))),
});

/**
 * The seccomp profile that `text` is, in the JSON that Docker and Podman read; comments and flags are passed over. `native` is what
 * libseccomp calls this processor. Throws an Error that says what is wrong where.
 */
export function readProfile(text: string, native: string): Profile {
	const read = v.safeParse(schema, parseJson(text));
	if (!read.success) throw new Error(explain(read.issues[0]));
	const { syscalls = [], defaultAction, defaultErrnoRet } = read.output;
	return {
		defaultAction,
		defaultErrnoRet,
		architectures: architecturesOf(read.output, native),
		syscalls: syscalls.map(ruleOf),
	};
}

function architecturesOf(
	{ architectures = [], archMap = [] }: v.InferOutput<typeof schema>,
	native: string,
): readonly string[] | undefined {
	if (architectures.length > 0 && archMap.length > 0) throw new Error('it has both architectures and archMap');
	if (architectures.length > 0) return architectures;
	const mapped = archMap.find(({ architecture }) => architecture === native);
	return mapped && [mapped.architecture, ...(mapped.subArchitectures ?? [])];
}

function ruleOf({ name, names, ...others }: v.InferOutput<typeof rule>, index: number): ProfileRule {
	if (name !== undefined && names !== undefined) throw new Error(`syscalls.${index} has both name and names`);
	const all = names ?? (name === undefined ? [] : [name]);
	if (all.length === 0) throw new Error(`syscalls.${index} names no call`);
	return { ...others, names: all };
}

function explain(issue: v.BaseIssue<unknown>): string {
	const path = v.getDotPath(issue);
	return path === null ? issue.message : `${path}: ${issue.message}`;
}
