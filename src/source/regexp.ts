import { type CharTest, type Node, parsePattern } from './regexp-syntax.js';

type Step =
	| { readonly type: 'char'; readonly test: CharTest }
	| { readonly type: 'assert'; readonly test: (text: readonly string[], at: number) => boolean }
	| { readonly type: 'jump'; readonly to: readonly number[] }
	| { readonly type: 'match' };

const MAX_LENGTH = 1000;
const MAX_STEPS = 10_000;

/**
 * Whether a text holds a match of the Go regular expression `pattern`. As in Go all ways are followed at once, so time is at most the
 * length of the text times that of the pattern: a source that brings the file names cannot stop a build (regular expression denial
 * of service). Throws a SyntaxError for what RE2 does not accept and for patterns over 1000 characters.
 */
export function compilePattern(pattern: string): (text: string) => boolean {
	if (pattern.length > MAX_LENGTH) throw new SyntaxError(`it has more than ${MAX_LENGTH} characters`);
	const steps: Step[] = [];
	compile(parsePattern(pattern), steps);
	steps.push({ type: 'match' });
	return (text) => isMatch(steps, Array.from(text));
}

function compile(node: Node, steps: Step[]): void {
	if (steps.length > MAX_STEPS) throw new SyntaxError('it is too large when its repetitions are written out');
	switch (node.type) {
		case 'char':
		case 'assert':
			steps.push(node);
			return;
		case 'concat':
			for (const part of node.parts) compile(part, steps);
			return;
		case 'either':
			compileEither(node.parts, steps);
			return;
		case 'repeat':
			for (let count = 0; count < node.min; count += 1) compile(node.part, steps);
			if (node.max === Infinity) compileLoop(node.part, steps);
			else for (let count = node.min; count < node.max; count += 1) compileEither([node.part, undefined], steps);
	}
}

/** One of `parts`; undefined is nothing at all. */
function compileEither(parts: readonly (Node | undefined)[], steps: Step[]): void {
	const fork = steps.push({ type: 'match' }) - 1;
	const starts: number[] = [];
	const exits: number[] = [];
	for (const part of parts) {
		starts.push(steps.length);
		if (part !== undefined) compile(part, steps);
		exits.push(steps.push({ type: 'match' }) - 1);
	}
	steps[fork] = { type: 'jump', to: starts };
	for (const exit of exits) steps[exit] = { type: 'jump', to: [steps.length] };
}

function compileLoop(part: Node, steps: Step[]): void {
	const fork = steps.push({ type: 'match' }) - 1;
	compile(part, steps);
	steps.push({ type: 'jump', to: [fork] });
	steps[fork] = { type: 'jump', to: [fork + 1, steps.length] };
}

function isMatch(steps: readonly Step[], text: readonly string[]): boolean {
	const seenAt = new Int32Array(steps.length).fill(-1);
	let tests: { readonly test: CharTest; readonly next: number }[] = [];
	for (let at = 0; at <= text.length; at += 1) {
		const char = text[at - 1] ?? '';
		const pending = [0, ...tests.filter(({ test }) => test(char)).map(({ next }) => next)];
		tests = [];
		for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
			const step = steps[index];
			if (step === undefined || seenAt[index] === at) continue;
			seenAt[index] = at;
			if (step.type === 'match') return true;
			if (step.type === 'jump') pending.push(...step.to);
			else if (step.type === 'char') tests.push({ test: step.test, next: index + 1 });
			else if (step.test(text, at)) pending.push(index + 1);
		}
	}
	return false;
}
