import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
	type DockerfileInput,
	formatBuildEnvironment,
	formatDockerfile,
	quoteAssignments,
	quotePath,
} from '../../../src/s2i/dockerfile.js';

const input: DockerfileInput = {
	builder: 'quay.io/sclorg/nodejs-22-c9s:latest',
	contract: { destination: '/tmp', assembleUser: '1001', user: '1001' },
	assemble: '/usr/libexec/s2i/assemble',
	run: '/usr/libexec/s2i/run',
	hasScripts: false,
	labels: [{ name: 'io.k8s.display-name', value: 'app:1' }],
	environment: [],
	hasBuildEnvironment: false,
	secrets: [],
	injections: [],
	previous: undefined,
};

/** The instructions of a Dockerfile, without comments, continued lines joined. */
function instructions(changes: Partial<DockerfileInput> = {}): readonly string[] {
	return formatDockerfile({ ...input, ...changes })
		.replaceAll(' \\\n    ', ' ')
		.split('\n')
		.filter((line) => line !== '' && !line.startsWith('#'));
}

describe('a Dockerfile', () => {
	test('does what a build does', () => {
		expect(
			formatDockerfile(input),
		).toBe(`# Made by s2oci. Build it in this directory, with any tool that knows RUN --mount where one is below.

FROM quay.io/sclorg/nodejs-22-c9s:latest

# What the image is, and what it was made from.
LABEL "io.k8s.display-name"="app:1"

# The source.
COPY --chown=1001:0 ["upload/src", "/tmp/src"]

# Assemble, as its own user.
RUN ["/usr/libexec/s2i/assemble"]

# The image runs its run script.
CMD ["/usr/libexec/s2i/run"]
`);
	});

	test('puts scripts that are not the image’s where they belong, before the source', () => {
		const contract = { ...input.contract, destination: '/opt/s2i' };
		expect(instructions({ contract, hasScripts: true, run: '/opt/s2i/scripts/run' })).toEqual([
			expect.stringMatching(/^FROM /),
			expect.stringMatching(/^LABEL /),
			'COPY --chown=1001:0 ["upload/scripts", "/opt/s2i/scripts"]',
			'COPY --chown=1001:0 ["upload/src", "/opt/s2i/src"]',
			'RUN ["/usr/libexec/s2i/assemble"]',
			'CMD ["/opt/s2i/scripts/run"]',
		]);
	});

	test.each([
		['0', '1001', ['USER 0', 'USER 1001'], '0:0'],
		['default:wheel', '1001', ['USER default:wheel', 'USER 1001'], 'default:wheel'],
		['431', '', ['USER 431', 'USER 0'], '431:0'],
		['', '1001', ['USER 0', 'USER 1001'], '0:0'],
		['', '', [], '0:0'],
		['root', '', [], 'root:0'],
		['1001', '1001', [], '1001:0'],
	])('assembles as %j and gives the image its own user %j back', (assembleUser, user, users, owner) => {
		const lines = instructions({ contract: { destination: '/tmp', assembleUser, user } });
		expect(lines.filter((line) => line.startsWith('USER'))).toEqual(users);
		expect(lines.filter((line) => line.startsWith('COPY'))).toEqual([
			`COPY --chown=${owner} ["upload/src", "/tmp/src"]`,
		]);
		const order = lines.filter((line) => /^(?:USER|RUN)/.test(line)).map((line) => line.split(' ')[0]);
		expect(order).toEqual(users.length === 0 ? ['RUN'] : ['USER', 'RUN', 'USER']);
	});

	test('mounts secrets, injected files and build variables for the one RUN', () => {
		const lines = instructions({
			secrets: ['npm', 'pip.conf'],
			injections: [{ source: 'upload/injections/0/key', target: '/etc/keys/key' }],
			hasBuildEnvironment: true,
		});
		expect(lines.filter((line) => line.includes('--mount'))).toEqual([
			'RUN --mount=type=secret,id=npm,mode=0444,required=true --mount=type=secret,id=pip.conf,mode=0444,required=true' +
				' --mount=type=bind,source=upload/injections/0/key,target=/etc/keys/key' +
				' --mount=type=bind,source=upload/build-environment,target=/run/s2oci/build-environment' +
				' ["/bin/sh", "-c", ". /run/s2oci/build-environment; exec \\"$0\\"", "/usr/libexec/s2i/assemble", "/tmp/artifacts"]',
		]);
		expect(lines.some((line) => /^COPY.*injections|^RUN rm/.test(line))).toBe(false);
	});

	test('restores what save-artifacts of the previous image gives, and leaves no artifacts behind', () => {
		const image = 'registry.example/team/app:1';
		const saveArtifacts = '/usr/libexec/s2i/save-artifacts';
		const lines = instructions({ previous: { image, saveArtifacts, isOurs: false } });
		expect(lines.slice(0, 4)).toEqual([
			'FROM registry.example/team/app:1 AS cached',
			'USER 1001',
			expect.stringContaining('"/usr/libexec/s2i/save-artifacts", "/tmp/scripts/save-artifacts"]') as string,
			'FROM quay.io/sclorg/nodejs-22-c9s:latest',
		]);
		const run = lines.find((line) => line.includes('from=cached'));
		expect(run).toContain('--mount=type=bind,source=/tmp/artifacts.tar,target=/run/s2oci/artifacts.tar,from=cached');
		expect(run).toContain('S2I_INCREMENTAL=true');
		expect(run).toContain('rm -rf \\"$1\\"');
	});

	test('runs a save-artifacts of ours in the previous image, as the assemble user', () => {
		const contract = { destination: '/tmp', assembleUser: '5', user: '1001' };
		const previous = { image: 'app:1', saveArtifacts: '/tmp/scripts/save-artifacts', isOurs: true };
		expect(instructions({ contract, hasScripts: true, previous }).slice(0, 4)).toEqual([
			'FROM app:1 AS cached',
			'COPY --chown=5:0 ["upload/scripts/save-artifacts", "/tmp/scripts/save-artifacts"]',
			'USER 5',
			expect.stringMatching(/^RUN \[.*"sh", "\/tmp\/scripts\/save-artifacts"\]$/),
		]);
	});

	test('is not written into by what names and values hold', () => {
		const environment = [
			{ name: 'A', value: '$HOME "quoted" \\ `x` #' },
			{ name: '# B', value: 'RUN evil' },
		];
		const labels = [{ name: 'a"b', value: 'x\\' }];
		const contract = { destination: '/tmp/a b/"$x"\'', assembleUser: 'svc$', user: '1001' };
		const lines = instructions({ environment, labels, contract });
		expect(lines).toContain('ENV "A"="\\$HOME \\"quoted\\" \\\\ `x` #" "# B"="RUN evil"');
		expect(lines).toContain('LABEL "a\\"b"="x\\\\"');
		expect(lines).toContain(`COPY --chown=svc\\$:0 ["upload/src", "/tmp/a b/\\\\\\"\\\\$x\\\\\\"\\\\'/src"]`);
		expect(lines).toContain('USER svc\\$');
	});

	test.each<[Partial<DockerfileInput>, string]>([
		[{ environment: [{ name: 'A', value: 'x\ny' }] }, 'USAGE'],
		[{ environment: [{ name: 'A', value: 'x\ry' }] }, 'USAGE'],
		[{ environment: [{ name: 'A', value: 'x'.repeat(70_000) }] }, 'USAGE'],
		[{ labels: [{ name: 'a\nRUN x', value: '' }] }, 'USAGE'],
		[{ builder: 'oci:/a b' }, 'USAGE'],
		[{ builder: 'x\nRUN evil' }, 'USAGE'],
		[{ previous: { image: '$x', saveArtifacts: '/x', isOurs: false } }, 'USAGE'],
		[{ secrets: ['a,target=/etc/passwd'] }, 'USAGE'],
		[{ injections: [{ source: 'upload/injections/0/a b', target: '/x' }] }, 'USAGE'],
		[{ contract: { destination: '/tmp', assembleUser: '0\nRUN evil', user: '1' } }, 'IMAGE_INVALID'],
		[{ contract: { destination: '/tmp', assembleUser: '1', user: '--x' } }, 'IMAGE_INVALID'],
	])('refuses %j, which it cannot hold', (changes, code) => {
		expect(() => formatDockerfile({ ...input, ...changes })).toThrow(expect.objectContaining({ code }) as Error);
	});

	test('has as many lines as it has instructions, whatever values hold', () => {
		const printable = fc.string({ unit: 'binary' }).filter((text) => !/[\0\r\n]/.test(text));
		const variables = fc.array(fc.record({ name: printable, value: printable }), { maxLength: 5 });
		fc.assert(
			fc.property(variables, (environment) => {
				const plain = environment.map((_, index) => ({ name: `N${index}`, value: 'v' }));
				const count = (list: DockerfileInput['environment']) =>
					formatDockerfile({ ...input, environment: list }).split('\n').length;
				expect(count(environment)).toBe(count(plain));
			}),
		);
	});

	test('quotes so that the rules of Dockerfiles give the value back', () => {
		const value = fc.string({ unit: 'grapheme' }).filter((text) => !/[\0\r\n]/.test(text));
		fc.assert(
			fc.property(value, value, (name, text) => {
				const [line = ''] = quoteAssignments('ENV', [{ name, value: text }]);
				expect(unquote(line.slice('ENV '.length))).toBe(`${name}=${text}`);
				expect(unquote(quotePath(text))).toBe(text);
			}),
		);
	});
});

/** What Docker's word processing makes of `word`: quotes removed, escapes resolved; fails where it would expand a variable. */
function unquote(word: string): string {
	return word.replace(
		/"((?:\\.|[^"\\])*)"|\\(.)|'([^']*)'|\$/gsu,
		(all, double?: string, char?: string, single?: string) => {
			if (all === '$') throw new Error('a variable would be expanded');
			return double === undefined ? (char ?? single ?? '') : unquoteDouble(double);
		},
	);
}

function unquoteDouble(inside: string): string {
	return inside.replace(/\\([\\$"])|\$/gu, (all, char?: string) => {
		if (all === '$') throw new Error('a variable would be expanded');
		return char ?? all;
	});
}

describe('variables for the build only', () => {
	test('are exported by a file of the context, quoted for a shell', () => {
		const variables = [
			{ name: 'A', value: "it's $HOME\nnext" },
			{ name: '_b2', value: '' },
		];
		expect(formatBuildEnvironment(variables)).toBe("export A='it'\\''s $HOME\nnext'\nexport _b2=''\n");
	});

	test.each(['a.b', 'export D', '1A', 'A;rm'])('named %j are refused', (name) => {
		expect(() => formatBuildEnvironment([{ name, value: 'secret' }])).toThrow(
			expect.objectContaining({ code: 'USAGE', message: expect.not.stringContaining('secret') as string }) as Error,
		);
	});
});
