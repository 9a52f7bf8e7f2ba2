import { spawnSync } from 'node:child_process';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadGrammars } from '../../../src/cli/commands.js';
import { renderCommandPage, renderProgramPage } from '../../../src/cli/manual.js';
import { optionsOf, positionalsOf } from '../../../src/cli/options.js';
import { lacking } from '../../support/fs.js';
import { skipFor } from '../../support/needs.js';
import { runMain } from './io.js';

const grammars = await loadGrammars();
const program = renderProgramPage('1.2.3');
const pages = grammars.map((grammar) => ({ grammar, name: grammar.name, page: renderCommandPage(grammar, '1.2.3') }));
const all = [{ name: 'the program', page: program }, ...pages];

/** A page as a terminal shows it, in lines that are long enough; throws when groff has anything to say. */
function shown(page: string): string {
	const words = ['-man', '-Tutf8', '-ww', '-rLL=4000n', '-P-cbou'];
	const { stdout, stderr, status } = spawnSync('groff', words, { input: page, encoding: 'utf8' });
	expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
	return stdout;
}

test.each(all)('the page of $name has the sections of a manual page, in their order, and no date', ({ page }) => {
	const sections = [...page.matchAll(/^\.SH (.*)$/gm)].map(([, title]) => title);
	const known = [
		'NAME',
		'SYNOPSIS',
		'DESCRIPTION',
		'COMMANDS',
		'ARGUMENTS',
		'OPTIONS',
		'EXIT STATUS',
		'EXAMPLES',
		'SEE ALSO',
	];
	expect(sections).toEqual(known.filter((title) => sections.includes(title)));
	expect(sections).toEqual(
		expect.arrayContaining(['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXAMPLES', 'SEE ALSO']),
	);
	expect(page).toMatch(/^\.TH S2OCI\S* 1 "" "s2oci 1\.2\.3" "s2oci manual"$/m);
	expect(page).toMatch(/^\.SH NAME\ns2oci\S* \\- \S.*\n\.SH SYNOPSIS$/m);
	expect(page).toMatch(/^[\t\n\x20-\x7e]*$/);
	expect(page).not.toContain('undefined');
});

test('the page of the program names every command and every page', () => {
	for (const { name } of grammars) {
		expect(program).toContain(`\\fB${name}\\fR`);
		expect(program).toContain(`\\fBs2oci\\-${name}\\fR(1)`);
	}
});

test('the page of completion is the golden one', () => {
	expect(
		pages.find(({ name }) => name === 'completion')?.page,
	).toBe(`.TH S2OCI\\-COMPLETION 1 "" "s2oci 1.2.3" "s2oci manual"
.nh
.ad l
.SH NAME
s2oci\\-completion \\- print a script that teaches a shell to complete the commands and options of s2oci
.SH SYNOPSIS
\\fBs2oci completion\\fR \\fIshell\\fR [\\fIoptions\\fR]
.SH DESCRIPTION
Print a script that teaches a shell to complete the commands and options of s2oci.
.SH ARGUMENTS
.TP
\\fIshell\\fR
bash, zsh or fish
.SH OPTIONS
.SS General
.TP
\\fB\\-h\\fR, \\fB\\-\\-help\\fR
show the options
.SH EXAMPLES
.PP
For this bash:
.PP
.RS 4
.nf
source <(s2oci completion bash)
.fi
.RE
.PP
For every zsh:
.PP
.RS 4
.nf
s2oci completion zsh > \\(dq\${fpath[1]}/_s2oci\\(dq
.fi
.RE
.PP
For every fish:
.PP
.RS 4
.nf
s2oci completion fish > \\(ti/.config/fish/completions/s2oci.fish
.fi
.RE
.SH SEE ALSO
\\fBs2oci\\fR(1)
`);
});

describe('with groff', () => {
	beforeEach((context) => skipFor(context, lacking('groff')));

	test.each(all)('the page of $name is shown without a warning', ({ page }) => {
		expect(shown(page)).toContain('NAME');
	});

	test.each(pages)('the page of $name says all that its help says, as it can be copied', ({ grammar, page }) => {
		const lines = shown(page)
			.split('\n')
			.map((line) => line.trim());
		const text = lines.join('\n');
		expect(text).toContain(grammar.description.replaceAll('\n', ' '));
		for (const { long, short, value, description } of optionsOf(grammar)) {
			const names = `${short === undefined ? '' : `-${short}, `}--${long}`;
			expect(text).toContain(value === undefined ? names : `${names} ${value}`);
			expect(text).toContain(description);
		}
		for (const { description } of positionalsOf(grammar)) expect(text).toContain(description);
		for (const { command } of grammar.examples) expect(lines).toContain(command);
	});

	test('the page of the program says what its help says', async () => {
		const { stdout } = await runMain(['help']);
		const text = shown(program);
		const commands = stdout.split('\n').filter((line) => /^ {2}[a-z]/.test(line));
		expect(commands.length).toBeGreaterThan(grammars.length);
		for (const line of commands) {
			const [words = '', summary = ''] = line.trim().split(/ {2,}/);
			expect(text).toContain(words);
			expect(text).toContain(summary);
		}
	});
});
