import type { Emit } from '../pipeline/events.js';
import { oneOf } from './values.js';
import type { ProgramName, WithoutEffect } from './words.js';

/** What a shell offers for a value: paths, or these words. */
export type Offer = 'file' | 'directory' | readonly string[];

/** An option as help, completion and the splitting of arguments need it. */
export interface OptionSpec {
	readonly long: string;
	readonly short: string | undefined;
	/** What help calls the value; undefined for a flag. */
	readonly value: string | undefined;
	readonly description: string;
	readonly repeatable: boolean;
	readonly offer: Offer | undefined;
	/** The heading in the help. */
	readonly section: string;
}

/** A positional argument; `long` tells an option from it. */
export interface PositionalSpec {
	readonly value: string;
	readonly description: string;
	readonly required: boolean;
	/** Whether it takes all that is left. */
	readonly several: boolean;
	readonly offer: Offer | undefined;
}

/** What the reading of arguments may know besides them. */
export interface Reading {
	readonly env: Readonly<Record<string, string | undefined>>;
	/** The name under which the program was called. */
	readonly program: ProgramName;
	/** Told of what is deprecated or has no effect. */
	readonly emit: Emit;
}

/** What was typed for one argument. */
export interface Given {
	/** The values, in order: none for a flag. */
	readonly texts: readonly string[];
	/** Whether a flag is on. */
	readonly on: boolean;
}

/** One argument of a command whose value is a `T`. `read` throws USAGE for what it cannot take. */
export interface Argument<T> {
	readonly spec: OptionSpec | PositionalSpec;
	readonly read: (given: Given, reading: Reading) => T;
}

/** Arguments by the names of their values, in the order of the help; those that are read together are a tree of their own. */
export interface ArgumentTree {
	readonly [name: string]: Argument<unknown> | ArgumentTree;
}

/** The values of the arguments of `A`. */
export type Values<A> = { readonly [K in keyof A]: A[K] extends Argument<infer T> ? T : Values<A[K]> };

/** What a command takes and how it is explained. */
export interface Grammar<A extends ArgumentTree> {
	readonly name: string;
	readonly description: string;
	readonly examples: readonly { readonly description: string; readonly command: string }[];
	readonly args: A;
	/** Options that this command has in S2I and that change nothing here, by their names. */
	readonly withoutEffect?: WithoutEffect;
	/** Whether S2I has the command too, and passes over arguments that are too many. */
	readonly passesOver?: boolean;
}

interface Details {
	readonly short?: string;
	readonly offer?: Offer;
}

/** Makes a value of a text that is not empty. `option` is for messages. Throws USAGE. */
export type Read<T> = (text: string, option: string, reading: Reading) => T;

/** Makes a value of all that a repeatable option was given. Throws USAGE. */
export type ReadAll<T> = (texts: readonly string[], option: string, reading: Reading) => T;

/** An option that may be absent: `read` makes its value, which is the text without it, and `absent` its default. */
export function option<T = string, A = undefined>(
	long: string,
	value: string,
	description: string,
	details: Details & {
		readonly read?: Read<T>;
		readonly absent?: (reading: Reading) => A;
		/** Whether an empty value means something. Else it is the same as none, so that `--option "$UNSET"` is harmless. */
		readonly keepsEmpty?: true;
	} = {},
): Argument<NoInfer<T | A>> {
	const { read = itself as Read<T>, absent = nothing as () => A, keepsEmpty = false } = details;
	return {
		spec: specOf(long, value, description, details),
		read: ({ texts: [text] }, reading) =>
			text === undefined || (text === '' && !keepsEmpty) ? absent(reading) : read(text, `--${long}`, reading),
	};
}

/** An option whose value is one of `words`, which a shell offers; the first is the default. */
export function choice<T extends string>(
	long: string,
	value: string,
	words: readonly [T, ...T[]],
	description: string,
	details: Pick<Details, 'short'> = {},
): Argument<T> {
	const absent = (): T => words[0];
	const read: Read<T> = (text, name) => oneOf(name, words, text);
	return option(long, value, description, { ...details, offer: words, read, absent });
}

/** An option that may be given any number of times: `read` makes a value of all of them, which is a list of the texts without it. */
export function list<T = readonly string[]>(
	long: string,
	value: string,
	description: string,
	details: Details & { readonly read?: ReadAll<T> } = {},
): Argument<NoInfer<T>> {
	const { read = itself as ReadAll<T> } = details;
	return {
		spec: { ...specOf(long, value, description, details), repeatable: true },
		read: ({ texts }, reading) => read(texts, `--${long}`, reading),
	};
}

/** Reads each value of a repeatable option by itself. */
export function each<T>(read: Read<T>): ReadAll<readonly T[]> {
	return (texts, name, reading) => texts.map((text) => read(text, name, reading));
}

/** An option that takes no value. */
export function flag(long: string, description: string, short?: string): Argument<boolean> {
	const spec = specOf(long, undefined, description, short === undefined ? {} : { short });
	return { spec, read: ({ on }) => on };
}

/** A positional argument that must be there. */
export function required(value: string, description: string, offer?: Offer): Argument<string> {
	const spec = { value, description, required: true, several: false, offer };
	return { spec, read: ({ texts: [text = ''] }) => text };
}

/** A positional argument that may be absent or empty. */
export function possible(value: string, description: string, offer?: Offer): Argument<string | undefined> {
	const spec = { value, description, required: false, several: false, offer };
	return { spec, read: ({ texts: [text = ''] }) => (text === '' ? undefined : text) };
}

/** All positional arguments from here on; there may be none. */
export function several(value: string, description: string): Argument<readonly string[]> {
	const spec = { value: `${value}...`, description, required: false, several: true, offer: undefined };
	return { spec, read: ({ texts }) => texts };
}

/** `args`, whose options the help shows under `title`. */
export function section<A extends ArgumentTree>(title: string, args: A): A {
	const entries = Object.entries(args).map(([key, node]) => [
		key,
		isArgument(node) ? { ...node, spec: { ...node.spec, section: title } } : section(title, node),
	]);
	return Object.fromEntries(entries) as A;
}

/** The options of a command, in the order of its help. */
export function optionsOf({ args }: { readonly args: ArgumentTree }): readonly OptionSpec[] {
	return specsOf(args).filter(isOption);
}

/** The positional arguments of a command, in order. */
export function positionalsOf({ args }: { readonly args: ArgumentTree }): readonly PositionalSpec[] {
	return specsOf(args).filter((spec): spec is PositionalSpec => !isOption(spec));
}

/** The values of `args`, each argument being given what `givenOf` its specification says. Throws USAGE. */
export function readValues<A extends ArgumentTree>(
	args: A,
	givenOf: (spec: OptionSpec | PositionalSpec) => Given,
	reading: Reading,
): Values<A> {
	const entries = Object.entries(args).map(([key, node]) => [
		key,
		isArgument(node) ? node.read(givenOf(node.spec), reading) : readValues(node, givenOf, reading),
	]);
	return Object.fromEntries(entries) as Values<A>;
}

/** Whether `spec` is that of an option. */
export function isOption(spec: OptionSpec | PositionalSpec): spec is OptionSpec {
	return 'long' in spec;
}

function specsOf(args: ArgumentTree): readonly (OptionSpec | PositionalSpec)[] {
	return Object.values(args).flatMap((node) => (isArgument(node) ? [node.spec] : specsOf(node)));
}

function isArgument(node: Argument<unknown> | ArgumentTree): node is Argument<unknown> {
	return typeof node.read === 'function';
}

function specOf(long: string, value: string | undefined, description: string, { short, offer }: Details): OptionSpec {
	return { long, short, value, description, repeatable: false, offer, section: 'Options' };
}

function itself(typed: unknown): unknown {
	return typed;
}

function nothing(): undefined {
	return undefined;
}

/** A command as shells complete it. */
export interface CompletedCommand {
	readonly name: string;
	readonly description: string;
	readonly options: readonly OptionSpec[];
	readonly positionals: readonly PositionalSpec[];
}

/** The command of `grammar`, with the first sentence of its description. */
export function completedOf<A extends ArgumentTree>(grammar: Grammar<A>): CompletedCommand {
	return {
		name: grammar.name,
		description: grammar.description.split(/[.:\n]/)[0] ?? '',
		options: optionsOf(grammar),
		positionals: positionalsOf(grammar),
	};
}
