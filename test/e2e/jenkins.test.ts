import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { builderRegistry, readBack } from '../support/ci-registry.js';
import { makeWorkspace, requirePrograms, requireRoot } from '../support/host.js';
import { CONTAINER_USERS, openContainer } from '../support/plain-container.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const FILES = join(import.meta.dirname, '../../ci/jenkins');
/** Debian's program of this name wants Debian's default Java. */
const GROOVY = ['java', '-cp', '/usr/share/java/groovy-all.jar', 'groovy.ui.GroovyMain'];
const RUNNER = join(import.meta.dirname, '../support/jenkins.groovy');

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc', 'skopeo', 'groovy', 'java');
});

interface Pod {
	readonly spec: {
		readonly containers: readonly {
			readonly name: string;
			readonly env: readonly { readonly name: string; readonly value: string }[];
			readonly volumeMounts: readonly { readonly mountPath: string }[];
		}[];
	};
}

interface Ended {
	readonly env: Readonly<Record<string, string>>;
	readonly description: string;
	readonly agent: { readonly yamlFile: string; readonly container: string };
}

test.each(CONTAINER_USERS)(
	'the pipeline builds in its pod as %s, and reads back what was built',
	async (_who, user, rung) => {
		const host = await builderRegistry();
		const workspace = makeWorkspace();
		const container = openContainer(workspace, user);
		const job = join(workspace.root, 'job');
		cpSync(assembleSource('cp /tmp/src/greeting.txt .'), job, { recursive: true });
		const store = join(workspace.root, 'volume');
		mkdirSync(store);
		const auth = join(workspace.root, 'auth.json');
		writeFileSync(auth, '{"auths":{}}');
		const pod = parse(readFileSync(join(FILES, 'pod.yaml'), 'utf8')) as Pod;
		const [step] = pod.spec.containers;
		const given = {
			BUILDER_IMAGE: `${host}/builders/tiny`,
			IMAGE: `${host}/team/app`,
			BUILD_NUMBER: '7',
			WORKSPACE: job,
			'credentials.registry-auth': auth,
		};
		for (const path of [job, store]) execFileSync('chmod', ['-R', 'a+rwX', path]);
		const words = Object.entries(given).map(([name, value]) => `${name}=${value}`);
		const { stdout, stderr } = await container([...GROOVY, RUNNER, join(FILES, 'Jenkinsfile'), ...words], {
			cwd: job,
			env: Object.fromEntries(step?.env.map(({ name, value }) => [name, value]) ?? []),
			volumes: Object.fromEntries(step?.volumeMounts.map(({ mountPath }) => [mountPath, store]) ?? []),
		});
		const ended = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Ended;
		expect(stderr).toContain(rung);
		expect(ended.agent).toEqual({ yamlFile: 'ci/jenkins/pod.yaml', container: step?.name });
		const { digest } = readBack(`${host}/team/app:7`);
		expect(ended.env).toMatchObject({ BUILT_IMAGE: `${host}/team/app:7@${digest}`, BUILT_DIGEST: digest });
		expect(ended.description).toBe(ended.env['BUILT_IMAGE']);
		expect(stdout).toContain(`built ${host}/team/app:7@${digest}`);
	},
);
