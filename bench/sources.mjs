// Applications whose `assemble` makes a change of a known size, without any network.
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CREATED } from '../scripts/layout/image.mjs';
import { END_OF_ARCHIVE, packEntry } from '../scripts/layout/tar.mjs';
import { generateFiles, generateText } from './content.mjs';

/** Sizes of a change: a number of files of about 1 KB, or blocks of text that become one file. */
export const CHANGES = {
	10: { files: 10 },
	2000: { files: 2000 },
	30000: { files: 30_000 },
	'2GB': { blocks: 32, blockBytes: 64 << 20 },
	none: {},
};
const ASSEMBLE = `#!/bin/sh
set -eu
cp /tmp/src/app.js .
if [ -f /tmp/src/files.tar ]; then tar -xf /tmp/src/files.tar; fi
if [ -d /tmp/artifacts/node_modules ]; then mv /tmp/artifacts/node_modules .; fi
if [ -f /tmp/src/block ]; then
	n=0
	while [ $n -lt $(cat /tmp/src/blocks) ]; do cat /tmp/src/block; n=$((n + 1)); done >large
fi
`;
const SAVE = '#!/bin/sh\ncd /opt/app-root/src && exec tar -cf - node_modules\n';

/** Writes the application that makes the change to a new directory. */
export async function writeSource(directory, change) {
	const { files = 0, blocks = 0, blockBytes = 0 } = CHANGES[change];
	const scripts = join(directory, '.s2i/bin');
	await mkdir(scripts, { recursive: true });
	for (const [name, text] of Object.entries({ assemble: ASSEMBLE, 'save-artifacts': SAVE })) {
		await writeFile(join(scripts, name), text);
		await chmod(join(scripts, name), 0o755);
	}
	await writeFile(join(directory, 'app.js'), `console.log(${JSON.stringify(change)});\n`);
	if (files > 0) await pipeline(Readable.from(packFiles(files)), createWriteStream(join(directory, 'files.tar')));
	if (blocks > 0) {
		await writeFile(join(directory, 'block'), generateText(blockBytes));
		await writeFile(join(directory, 'blocks'), `${blocks}\n`);
	}
	return directory;
}

function* packFiles(count) {
	const mtime = CREATED.getTime() / 1000;
	yield packEntry({ name: 'node_modules', type: '5', mode: 0o755, mtime });
	for (const entry of generateFiles({ parent: 'node_modules', count, least: 512, most: 1536 })) {
		yield packEntry({ ...entry, mtime });
	}
	yield END_OF_ARCHIVE;
}
