import { array, command, flag, multioption, option, optional, positional, restPositionals, type Type } from 'cmd-ts';
import type { WithoutEffect } from './without-effect.js';
import { MARK } from './words.js';

/** What a shell offers for a value: paths, or these words. */
export type Offer = 'file' | 'directory' | readonly string[];

/** An option as help, completion and the reading of arguments need it. */
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

/** A positional argument; `section` tells it from an option. */
export interface PositionalSpec {
	readonly value: string;
	readonly description: string;
	readonly required: boolean;
	readonly offer: Offer | undefined;
}

type Parser = Parameters<typeof command>[0]['args'][string];

/** One argument of a command whose value is a `T`. */
export interface Argument<T> {
	readonly spec: OptionSpec | PositionalSpec;
	readonly parser: Parser;
	/** Never there; it keeps the type of the value. */
	readonly type?: T;
}

/** An argument for each property of `T`. */
export type Arguments<T> = { readonly [K in keyof T]-?: Argument<T[K]> };

/** What a command takes and how it is explained. */
export interface Grammar<T> {
	readonly name: string;
	readonly description: string;
	readonly examples: readonly { readonly description: string; readonly command: string }[];
	readonly args: Arguments<T>;
	/** Options that this command has in S2I and that change nothing here, by their names. */
	readonly withoutEffect?: WithoutEffect;
	/** Whether S2I has the command too, and passes over arguments that are too many. */
	readonly passesOver?: boolean;
}

const text: Type<string, string> = { from: (marked) => Promise.resolve(marked.slice(MARK.length)) };

interface Details {
	readonly short?: string;
	readonly offer?: Offer;
}

/** An option that may be absent. */
export function textOption(
	long: string,
	value: string,
	description: string,
	details: Details = {},
): Argument<string | undefined> {
	const spec = specOf(long, value, description, details, false);
	return { spec, parser: option({ type: optional({ ...text, displayName: value }), ...namesOf(spec) }) };
}

/** An option that may be given any number of times. */
export function textList(
	long: string,
	value: string,
	description: string,
	details: Details = {},
): Argument<readonly string[]> {
	const spec = specOf(long, value, description, details, true);
	return { spec, parser: multioption({ type: array({ ...text, displayName: value }), ...namesOf(spec) }) };
}

/** An option that takes no value. */
export function switchOption(long: string, description: string, short?: string): Argument<boolean> {
	const spec = specOf(long, undefined, description, short === undefined ? {} : { short }, false);
	return { spec, parser: flag(namesOf(spec)) };
}

/** A positional argument that must be there. */
export function required(value: string, description: string, offer?: Offer): Argument<string> {
	const spec = { value, description, required: true, offer };
	return { spec, parser: positional({ displayName: value, type: text }) };
}

/** A positional argument that may be absent. */
export function possible(value: string, description: string, offer?: Offer): Argument<string | undefined> {
	const spec = { value, description, required: false, offer };
	return { spec, parser: positional({ displayName: value, type: optional(text) }) };
}

/** All positional arguments from here on; there may be none. */
export function several(value: string, description: string): Argument<readonly string[]> {
	const spec = { value: `${value}...`, description, required: false, offer: undefined };
	return { spec, parser: restPositionals({ displayName: value, type: text }) };
}

/** `args`, whose options the help shows under `title`. */
export function section<T>(title: string, args: Arguments<T>): Arguments<T> {
	const entries = Object.entries<Argument<unknown>>(args).map(([key, argument]) => [
		key,
		isOption(argument.spec) ? { ...argument, spec: { ...argument.spec, section: title } } : argument,
	]);
	return Object.fromEntries(entries) as Arguments<T>;
}

/** The options of a command, in the order of its help. */
export function optionsOf<T>(grammar: Grammar<T>): readonly OptionSpec[] {
	return specsOf(grammar).filter(isOption);
}

/** The positional arguments of a command, in order. */
export function positionalsOf<T>(grammar: Grammar<T>): readonly PositionalSpec[] {
	return specsOf(grammar).filter((spec): spec is PositionalSpec => !isOption(spec));
}

/** The grammar as cmd-ts wants it. */
export function commandOf<T>(grammar: Grammar<T>): ReturnType<typeof command> {
	const args = Object.entries<Argument<unknown>>(grammar.args).map(([key, { parser }]) => [key, parser] as const);
	return command({ name: grammar.name, args: Object.fromEntries(args), handler: (values) => values });
}

function specsOf<T>(grammar: Grammar<T>): readonly (OptionSpec | PositionalSpec)[] {
	return Object.values<Argument<unknown>>(grammar.args).map(({ spec }) => spec);
}

function isOption(spec: OptionSpec | PositionalSpec): spec is OptionSpec {
	return 'long' in spec;
}

function specOf(
	long: string,
	value: string | undefined,
	description: string,
	{ short, offer }: Details,
	repeatable: boolean,
): OptionSpec {
	return { long, short, value, description, repeatable, offer, section: 'Options' };
}

function namesOf({ long, short }: OptionSpec): { readonly long: string; readonly short?: string } {
	return short === undefined ? { long } : { long, short };
}
