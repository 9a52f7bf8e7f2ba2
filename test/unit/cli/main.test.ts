import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadCompleted } from '../../../src/cli/commands.js';
import { runMain } from './io.js';

const grammars = await loadCompleted();

test.each([[[]], [['help']], [['--help']], [['-h']]])('%j explains the program on stdout', async (argv) => {
	const { status, stdout, stderr } = await runMain(argv);
	expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
	expect(stdout).toContain('Usage: s2oci <command> [arguments]');
	expect(stdout).toContain('s2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2');
	for (const { name } of grammars) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
});

test.each([
	[['help', 'build'], 'Usage: s2oci build <source> <builder> [tag] [options]', '  -e, --env NAME=VALUE '],
	[['build', '--help'], 'Examples:', '      --context-dir DIR '],
	[['build', '.', '-h', '--ref', 'x'], '  -c, --copy ', '  -h, --help '],
	[['run', '--help'], 'Usage: s2oci run <image> [options]', 's2oci run registry.example/team/app:1.2'],
])('%j teaches the command on stdout', async (argv, ...lines) => {
	const { status, stdout, stderr } = await runMain(argv);
	expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
	for (const line of lines) expect(stdout).toContain(line);
	expect(stdout).not.toContain('undefined');
});

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

test('the version is that of the package', async () => {
	expect(await runMain(['--version'])).toEqual({ status: 0, stdout: `s2oci ${version}\n`, stderr: '' });
});

describe('version', () => {
	const node = process.versions.node;
	const platform = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;

	test('says what was built, and what runs it; code that was not built knows no commit', async () => {
		const stdout = `s2oci ${version}\ncommit unknown\nNode.js ${node}\nplatform ${platform}\n`;
		expect(await runMain(['version'])).toEqual({ status: 0, stdout, stderr: '' });
	});

	test.each([{}, { S2OCI_NAME: 's2i' }])('says so as JSON with %j', async (env) => {
		const { status, stdout } = await runMain(['version', '--json'], env);
		expect(status).toBe(0);
		expect(JSON.parse(stdout)).toEqual({ version, commit: 'unknown', node, platform });
	});

	test('refuses what it does not know', async () => {
		const { status, stderr } = await runMain(['version', '--jsn']);
		expect({ status, stderr }).toEqual({
			status: 2,
			stderr: 'error: s2oci version has no option --jsn\nhint: Did you mean --json?\n',
		});
	});
});

describe('under the name s2i', () => {
	const s2i = { S2OCI_NAME: 's2i' };

	test.each(['version', '--version'])('%s has the form that scripts look for', async (word) => {
		const { stdout } = await runMain([word], s2i);
		expect(stdout).toMatch(/^s2i v\d+\.\d+\.\d+-s2oci-\d+\.\d+\.\d+\n$/);
	});

	test('help, advice and errors have that name', async () => {
		expect((await runMain([], s2i)).stdout).toContain('Usage: s2i <command> [arguments]');
		expect((await runMain(['help', 'build'], s2i)).stdout).toContain('Usage: s2i build <source>');
		expect(await runMain(['build', '.'], s2i)).toEqual({
			status: 1,
			stdout: '',
			stderr: 'error: s2i build needs <builder>\nhint: See s2i build --help.\n',
		});
		expect((await runMain(['biuld'], s2i)).stderr).toContain('Did you mean s2i build?');
	});
});

const seeBuild = 'See s2oci build --help.';

test.each([
	['buidl', 'there is no command "buidl"', 'Did you mean s2oci build?'],
	['constructor', 'there is no command "constructor"', 'See s2oci help.'],
	['build', 's2oci build needs <source>', seeBuild],
	['build .', 's2oci build needs <builder>', seeBuild],
	['build . img --outptu x', 's2oci build has no option --outptu', 'Did you mean --output?'],
	['build . img -x', 's2oci build has no option -x', seeBuild],
	['build . img tag extra', 's2oci build does not know what to do with: extra', seeBuild],
	[
		'run img ls',
		's2oci run does not know what to do with: ls',
		'What runs in the image stands behind --: s2oci run IMAGE -- ls',
	],
	['build . img --memory 5m', '--memory does not take "5m"', 'Give at least 6m, such as 512m or 2g.'],
	[
		'build . img reg.example:5000',
		'reg.example:5000 is a registry, and does not say which repository of it the image goes to',
		'Name one behind it, such as reg.example:5000/team/app:1.2.',
	],
	['build . img --ref', '--ref needs a value', seeBuild],
	['build . img --copy=yes', '--copy takes no value but true or false', seeBuild],
	['build . img --isolation rnc', '--isolation does not take "rnc"', 'Did you mean runc?'],
	['build . img --loglevel x', '--loglevel does not take "x"', 'Give a number from 0 (essentials) to 5 (every file).'],
	['--url', '--url needs a value', 'Leave it out: it is for a Docker daemon.'],
	['build . img --log-format xml', '--log-format does not take "xml"', 'Use one of auto, tty, plain, json.'],
	[
		'build . img -eFOO',
		'--env must be given as NAME=VALUE',
		'For an empty value write NAME= with nothing behind the equals sign.',
	],
	[
		'build . img --insecure-registry http://reg',
		'--insecure-registry does not take "http://reg"',
		'Give a host with an optional port, such as registry.example:5000.',
	],
])('%j is a usage error of one line and a hint', async (line, message, hint) => {
	expect(await runMain(line.split(' '))).toEqual({
		status: 2,
		stdout: '',
		stderr: `error: ${message}\nhint: ${hint}\n`,
	});
});

test('a bad image name exits with 2 before anything is done', async () => {
	const { status, stdout, stderr } = await runMain(['build', '.', 'registry.example/Upper']);
	expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
	expect(stderr).toMatch(/^error: .*\nhint: .*\n$/);
});

test('no secret and no control character of the command line is printed', async () => {
	const { stderr } = await runMain(['build', '.', 'img', 'tag', 'https://ada:s3cret@host/\u001b[31m?token=t0ken']);
	expect(stderr).toContain('https://[redacted]@host/');
	expect(stderr).not.toMatch(/s3cret|t0ken|\u001b/);
});
