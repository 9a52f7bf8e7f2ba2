import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_PATH } from '../../../src/s2i/contract.js';
import { planOnBuild } from '../../../src/s2i/onbuild.js';
import type { OnBuildConfig } from '../../../src/s2i/onbuild-state.js';

function plan(
	onBuild: readonly string[],
	config: OnBuildConfig = {},
	environment: readonly { name: string; value: string }[] = [],
) {
	return planOnBuild(onBuild, config, environment);
}

function configAfter(onBuild: readonly string[], config: OnBuildConfig = {}): OnBuildConfig {
	return plan(onBuild, config).config;
}

describe('ONBUILD COPY and ADD', () => {
	const COPY = { type: 'copy', intoDirectory: false, extract: false, chown: undefined, mode: undefined };

	test.each([
		['COPY . /opt/app', { sources: [''], destination: '/opt/app' }],
		['copy a b/', { sources: ['a'], destination: '/srv/b', intoDirectory: true }],
		['COPY a .', { sources: ['a'], destination: '/srv', intoDirectory: true }],
		['COPY /a ../x', { sources: ['a'], destination: '/x' }],
		['COPY ["a b", "c/", "/d/"]', { sources: ['a b', 'c'], destination: '/d', intoDirectory: true }],
		['COPY a/../*.js? ./', { sources: ['*.js?'], destination: '/srv', intoDirectory: true }],
		['COPY --chown=app:web --chmod=0750 a b', { sources: ['a'], destination: '/srv/b', chown: 'app:web', mode: 0o750 }],
		['COPY --chown=$WHO --link a $TO', { sources: ['a'], destination: '/target', chown: '1001' }],
		['ADD a.tar.gz /', { sources: ['a.tar.gz'], destination: '/', intoDirectory: true, extract: true }],
	])('%s is understood as Docker has it', (text, step) => {
		const config = { WorkingDir: '/srv', Env: ['WHO=1001', 'TO=/target'] };
		expect(plan([text], config).steps).toEqual([{ ...COPY, ...step, text }]);
	});

	test.each(['COPY ../secret /x', 'COPY a/../../secret /x', 'COPY a', 'COPY', 'COPY a b c', 'COPY [a /x', 'ADD ["a"]'])(
		'refuses %s',
		(text) => {
			expect(() => plan([text])).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
		},
	);

	test.each([
		['COPY --from=build /x /y', /COPY --from is not supported/],
		['COPY --parents a b', /COPY --parents/],
		['COPY --chmod=u+x a b', /--chmod=u\+x, which is not octal/],
		['ADD https://example.com/x /x', /ADD of a URL/],
		['ADD --checksum=sha256:1 a b', /ADD --checksum/],
		['ADD git@github.com:a/b.git /x', /ADD of a URL/],
		['COPY <<EOF /x', /COPY of a here-document/],
	])('names what it does not support in %s', (text, message) => {
		expect(() => plan([text])).toThrow(message);
		expect(() => plan([text])).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }));
	});

	test('never have a source outside of the build context, whatever is written', () => {
		const part = fc.constantFrom('..', '.', 'a', '', '/', '$UP', '*');
		fc.assert(
			fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
				let sources: readonly string[] = [];
				try {
					const [step] = plan([`COPY ${parts.join('/')} /x/`], { Env: ['UP=..'] }).steps;
					sources = step?.type === 'copy' ? step.sources : [];
				} catch (error) {
					expect(error).toMatchObject({ code: 'IMAGE_INVALID' });
				}
				for (const source of sources) expect(source).not.toMatch(/^\/|(?:^|\/)\.\.(?:\/|$)/);
			}),
		);
	});
});

describe('ONBUILD RUN', () => {
	test('in shell form is run by /bin/sh, or by SHELL of the image or of an instruction before', () => {
		const argvOf = (onBuild: readonly string[], config: OnBuildConfig = {}) =>
			plan(onBuild, config).steps.flatMap((step) => (step.type === 'run' ? [step.argv] : []));
		expect(argvOf(['RUN a  && b $C'])).toEqual([['/bin/sh', '-c', 'a  && b $C']]);
		expect(argvOf(['RUN a'], { Shell: ['/bin/bash', '-ec'] })).toEqual([['/bin/bash', '-ec', 'a']]);
		expect(argvOf(['RUN a', 'SHELL ["/bin/ash","-c"]', 'RUN b'])).toEqual([
			['/bin/sh', '-c', 'a'],
			['/bin/ash', '-c', 'b'],
		]);
		expect(argvOf(['RUN ["/bin/x", "$A"]'])).toEqual([['/bin/x', '$A']]);
	});

	test('sees user, directory, ENV and ARG as they are at its place', () => {
		const { steps } = plan(['ENV A=1', 'RUN one', 'ARG B=2 A=no', 'USER 1001', 'WORKDIR sub', 'ENV A=3', 'RUN two'], {
			User: 'root',
			WorkingDir: '/app',
			Env: ['PATH=/bin'],
		});
		const runs = steps.flatMap((step) => (step.type === 'run' ? [[step.user, step.cwd, step.env]] : []));
		expect(runs).toEqual([
			['root', '/app', { PATH: '/bin', A: '1' }],
			['1001', '/app/sub', { PATH: '/bin', A: '3', B: '2' }],
		]);
	});

	test('has a PATH when the image sets none, which is not written to the image', () => {
		const { steps, config } = plan(['RUN x']);
		expect(steps).toMatchObject([{ env: { PATH: DEFAULT_PATH } }]);
		expect(config.Env).toBeUndefined();
	});

	test.each(['RUN --mount=type=cache,target=/x y', 'RUN --network=none y', 'RUN <<EOF'])('is refused as %s', (text) => {
		expect(() => plan([text])).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }));
	});

	test.each(['RUN', 'RUN []', 'RUN [""]'])('needs a command: %s', (text) => {
		expect(() => plan([text])).toThrow(/has no command/);
	});
});

describe('ONBUILD instructions that change the config', () => {
	test.each<[string, OnBuildConfig]>([
		['ENV A=1 B="two words" C=x\\ y', { Env: ['OLD=o', 'A=1', 'B=two words', 'C=x y'] }],
		['ENV A  some words', { Env: ['OLD=o', 'A=some words'] }],
		['ENV OLD=$OLD:n', { Env: ['OLD=o:n'] }],
		['LABEL a=b "c d"="e $OLD"', { Labels: { was: 'here', a: 'b', 'c d': 'e o' } }],
		['USER $OLD', { User: 'o' }],
		['CMD a $OLD', { Cmd: ['/bin/sh', '-c', 'a $OLD'] }],
		['CMD ["a"]', { Cmd: ['a'] }],
		['VOLUME /a b', { Volumes: { '/a': {}, '/srv/b': {} } }],
		['VOLUME ["/a b"]', { Volumes: { '/a b': {} } }],
		['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
		['SHELL ["/bin/ash"]', { Shell: ['/bin/ash'] }],
		['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
		[
			'HEALTHCHECK --interval=1m30s --timeout=1.5s --retries=3 CMD curl x',
			{ Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 90e9, Timeout: 1.5e9, Retries: 3 } },
		],
		['HEALTHCHECK CMD ["a"]', { Healthcheck: { Test: ['CMD', 'a'] } }],
		['MAINTAINER me', {}],
	])('%s', (text, change) => {
		const config = { Env: ['OLD=o'], Labels: { was: 'here' }, WorkingDir: '/srv' };
		expect(configAfter([text], config)).toEqual({ ...config, ...change, OnBuild: [] });
	});

	test('EXPOSE takes ports, ranges and protocols', () => {
		const ports = configAfter(['ARG P=81', 'EXPOSE $P 9000-9002/udp'], { ExposedPorts: { '80/tcp': {} } }).ExposedPorts;
		expect(Object.keys(ports ?? {})).toEqual(['80/tcp', '81/tcp', '9000/udp', '9001/udp', '9002/udp']);
	});

	test('all values of one ENV see the variables as they were before it', () => {
		expect(configAfter(['ENV A=1', 'ENV A=2 B=$A']).Env).toEqual(['A=2', 'B=1']);
	});

	test('variables of the build win over ENV and ARG where they are used', () => {
		const { config } = plan(['ENV A=image', 'ARG B=default', 'LABEL a=$A b=$B'], {}, [
			{ name: 'A', value: 'mine' },
			{ name: 'B', value: 'too' },
		]);
		expect(config.Labels).toEqual({ a: 'mine', b: 'too' });
	});

	test('ENTRYPOINT takes away the CMD of the image, but not one of an instruction', () => {
		const image = { Cmd: ['old'] };
		expect(configAfter(['ENTRYPOINT ["x"]'], image)).toMatchObject({ Entrypoint: ['x'], Cmd: [] });
		expect(configAfter(['CMD ["new"]', 'ENTRYPOINT ["x"]'], image)).toMatchObject({ Entrypoint: ['x'], Cmd: ['new'] });
		expect(configAfter(['ENTRYPOINT ["x"]', 'CMD ["new"]'], image)).toMatchObject({ Cmd: ['new'] });
	});

	test('WORKDIR is relative to the one before, and made for the user of its place', () => {
		const { steps, config } = plan(['WORKDIR a', 'USER 7', 'WORKDIR b', 'WORKDIR /c'], { WorkingDir: '/w' });
		expect(steps.map((step) => step.type === 'directory' && [step.path, step.user])).toEqual([
			['/w/a', ''],
			['/w/a/b', '7'],
			['/c', '7'],
		]);
		expect(config.WorkingDir).toBe('/c');
	});

	test('what is not named stays, with fields that nobody knows', () => {
		const image = {
			User: '5',
			Env: ['A=1'],
			Cmd: ['x'],
			Unknown: { kept: true },
			OnBuild: ['USER 1'],
		} as OnBuildConfig;
		expect(configAfter(['LABEL a=b'], image)).toEqual({ ...image, Labels: { a: 'b' }, OnBuild: [] });
	});

	test.each([
		'ENV',
		'ENV A',
		'ENV A=1 B',
		'LABEL =x',
		'USER',
		'WORKDIR',
		'VOLUME',
		'VOLUME /',
		'SHELL /bin/sh',
		'EXPOSE 70000',
		'EXPOSE 80-70',
		'HEALTHCHECK x',
	])('%s is refused', (text) => {
		expect(() => plan([text])).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
	});
});

describe('ONBUILD as a whole', () => {
	test.each(['FROM x', 'ONBUILD RUN x', 'FOO bar', '', 'constructor x'])(
		'refuses %j by its name, before anything',
		(text) => {
			expect(() => plan(['RUN x', text])).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }));
		},
	);

	test('shows no secret of an instruction in an error', () => {
		expect(() => plan(['ADD https://user:hunter2@example.com/x /x'])).toThrow(/^(?!.*hunter2).*example\.com/);
	});

	test('does not run for long or throw anything but a BuildError, whatever the image says', () => {
		const name = fc.constantFrom(
			'ENV',
			'COPY',
			'ADD',
			'RUN',
			'LABEL',
			'EXPOSE',
			'VOLUME',
			'HEALTHCHECK',
			'WORKDIR',
			'ARG',
			'SHELL',
		);
		const rest = fc.string({
			unit: fc.constantFrom('a', ' ', '$', '=', '"', "'", '\\', '[', ']', ',', '-', '/', '0', ':', '{', '}'),
		});
		fc.assert(
			fc.property(
				fc.array(
					fc.tuple(name, rest).map((words) => words.join(' ')),
					{ maxLength: 5 },
				),
				(onBuild) => {
					try {
						expect(plan(onBuild).config.OnBuild).toEqual([]);
					} catch (error) {
						expect(error).toMatchObject({ name: 'BuildError' });
					}
				},
			),
		);
	});

	test('cannot make a variable grow without end', () => {
		const onBuild = ['ENV A=xxxxxxxxxxxxxxxx', ...Array.from({ length: 64 }, () => 'ENV A=$A$A')];
		expect(() => plan(onBuild)).toThrow(/more than 128 KiB/);
	});
});
