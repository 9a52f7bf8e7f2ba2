// Writes the manual pages: node manual.mjs DIRECTORY. It takes what `npm run build` compiled.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadGrammars } from '../dist/cli/commands.js';
import { renderCommandPage, renderProgramPage } from '../dist/cli/manual.js';

const [, , directory] = process.argv;
if (directory === undefined) throw new Error('usage: node manual.mjs DIRECTORY');
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, 's2oci.1'), renderProgramPage(version));
for (const grammar of await loadGrammars()) {
	writeFileSync(join(directory, `s2oci-${grammar.name}.1`), renderCommandPage(grammar, version));
}
