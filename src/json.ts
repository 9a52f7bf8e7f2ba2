const MAX_DEPTH = 100;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The value that `text`, from outside, is as JSON. Throws a SyntaxError, also for lists and objects in more than 100 others: what is read
 * so is written, compared and checked by functions that call themselves, and no document of an image is as deep (CVE-2020-36518 and
 * its kind). Takes linear time.
 */
export function parseJson(text: string): unknown {
	let depth = 0;
	for (let at = 0; at < text.length; at += 1) {
		const code = text.charCodeAt(at);
		if (code === QUOTE) at = endOfString(text, at);
		else if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
		else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
		if (depth > MAX_DEPTH) throw new SyntaxError(`lists and objects are in more than ${MAX_DEPTH} others`);
	}
	return JSON.parse(text);
}

/** Where the string that begins at `start` has its last quote; JSON.parse says what is wrong with one that has none. */
function endOfString(text: string, start: number): number {
	for (let at = start + 1; at < text.length; at += 1) {
		const code = text.charCodeAt(at);
		if (code === BACKSLASH) at += 1;
		else if (code === QUOTE) return at;
	}
	return text.length;
}
