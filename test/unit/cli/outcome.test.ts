import {
	chmodSync,
	chownSync,
	linkSync,
	lstatSync,
	readdirSync,
	readFileSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BuildOutcome } from '../../../src/build/result.js';
import { writeFiles } from '../../../src/cli/outcome.js';
import type { OutputArguments } from '../../../src/cli/output-options.js';
import { temporaryDirectory } from '../../support/fs.js';
import { needs } from '../../support/needs.js';

const outcome = { result: { success: true, digest: 'sha256:1' } } as unknown as BuildOutcome;

function write(resultFile: string): Promise<unknown> {
	return writeFiles(outcome, { resultFile } as unknown as OutputArguments);
}

describe('the result file', () => {
	test('takes the place of an older one as a whole, with its mode, and leaves nothing beside it', async () => {
		using directory = temporaryDirectory();
		const [path, other] = [join(directory.path, 'result.json'), join(directory.path, 'other')];
		writeFileSync(path, 'old');
		chmodSync(path, 0o600);
		linkSync(path, other);
		expect(await write(path)).toBeUndefined();
		expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(outcome.result);
		expect(lstatSync(path).mode & 0o777).toBe(0o600);
		expect(readFileSync(other, 'utf8')).toBe('old');
		expect(readdirSync(directory.path).sort()).toEqual(['other', 'result.json']);
	});

	test('that is a link is written to what it points to', async () => {
		using directory = temporaryDirectory();
		const [path, target] = [join(directory.path, 'result.json'), join(directory.path, 'target')];
		symlinkSync(target, path);
		expect(await write(path)).toBeUndefined();
		expect(JSON.parse(readFileSync(target, 'utf8'))).toEqual(outcome.result);
		expect(lstatSync(path).isSymbolicLink()).toBe(true);
	});

	test('of another user stays theirs', async (context) => {
		needs(context, process.getuid?.() === 0, 'only root can give a file to another user');
		using directory = temporaryDirectory();
		const path = join(directory.path, 'result.json');
		writeFileSync(path, 'longer than what is written, so that the rest of it would show');
		chownSync(path, 1234, 1234);
		expect(await write(path)).toBeUndefined();
		expect(lstatSync(path).uid).toBe(1234);
		expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(outcome.result);
	});

	test('may be a device', async () => {
		expect(await write('/dev/null')).toBeUndefined();
		expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
	});

	test('in a directory that is not there is an error with a code', async () => {
		using directory = temporaryDirectory();
		expect(await write(join(directory.path, 'missing', 'result.json'))).toMatchObject({ code: 'OUTPUT_FAILED' });
	});
});
