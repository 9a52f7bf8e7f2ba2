import { readFileSync, writeSync } from 'node:fs';
import { attempt } from '../errors.js';
import { mayBecomeAnyone } from '../linux/capabilities.js';
import { enterNetwork } from '../linux/enter-network.js';
import { loadLibc } from '../linux/libc.js';
import type { Question } from '../protocol/observation.js';
import { askServers } from './ask.js';

const NAMESPACE_FD = 3;
const NOBODY = 65_534;

/**
 * Reads questions from standard input and prints the answers as JSON, as a process of its own in the worker's namespaces; with `enter`, from
 * within the network namespace that is open as descriptor 3.
 */
export async function answerQuestions(place: string | undefined): Promise<void> {
	const questions = JSON.parse(readFileSync(0, 'utf8')) as readonly Question[];
	if (place === 'enter') {
		await enterNetwork(NAMESPACE_FD);
		attempt(becomeNobody);
	}
	(await loadLibc())?.dieWithParent();
	const text = Buffer.from(JSON.stringify(await askServers(questions)));
	for (let written = 0; written < text.length; ) written += writeSync(1, text, written);
}

/** What a server answers is read with no rights at all, where there is a user without any: in a namespace of one id there is none. */
function becomeNobody(): void {
	if (!mayBecomeAnyone()) return;
	process.setgroups?.([]);
	process.setgid?.(NOBODY);
	process.setuid?.(NOBODY);
}
