import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { openHttp } from '../../../src/http/http.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import {
	type InstalledScript,
	installScripts,
	type ScriptInput,
} from '../../../src/pipeline/prepare/install-scripts.js';
import { readContract } from '../../../src/s2i/contract.js';
import type { ScriptName } from '../../../src/s2i/scripts.js';

const signal = AbortSignal.timeout(60_000);
const root = mkdtempSync(join(tmpdir(), 's2oci-scripts-'));
const http = openHttp({ env: {}, caBundle: undefined, userAgent: 's2oci/test' });
interface Answer {
	readonly status: number;
	readonly body: string;
}

/** What the server has, by path; empty before each test. */
export const served: Map<string, Answer> = new Map<string, Answer>();
/** The paths that the server was asked for in a test. */
export const requests: string[] = [];
let server: Server;

/** Address of the server that {@link serve} fills, once the tests run. */
export let host: string;

beforeAll(async () => {
	server = createServer((request, response) => {
		requests.push(request.url ?? '');
		const { status, body } = served.get(request.url ?? '') ?? { status: 404, body: '<html>not here' };
		response.writeHead(status).end(body);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

beforeEach(() => {
	served.clear();
	requests.splice(0);
});

afterAll(async () => {
	await http.close();
	server.close();
	rmSync(root, { recursive: true });
});

export const LABEL = 'io.openshift.s2i.scripts-url';
/** A script that can be told from others. */
export const script = (from: string): string => `#!/bin/sh\necho ${from}\n`;
/** Makes the server answer. */
export const serve = (path: string, body: string = script('url'), status = 200): void =>
	void served.set(path, { status, body });

/** What a call of installScripts is given. */
export interface Case {
	readonly required?: readonly ScriptName[];
	readonly optional?: readonly ScriptName[];
	/** Undefined: no source at all. */
	readonly source?: Readonly<Record<string, string>> | undefined;
	readonly scriptsUrl?: string | undefined;
	readonly labels?: Readonly<Record<string, string>>;
	readonly env?: readonly string[];
	/** Modes of the files that are in the image. */
	readonly image?: Readonly<Record<string, number>>;
	readonly arrange?: (source: string) => void;
}

/** What it did. */
export interface Installed {
	readonly scripts: ReadonlyMap<ScriptName, InstalledScript>;
	readonly placed: boolean;
	readonly events: readonly BuildEvent[];
	readonly directory: string;
	readonly source: string;
	/** Of an external script. */
	readonly text: (name: ScriptName) => string;
}

/** A directory with `files`, removed in the end. */
export function makeSource(files: Readonly<Record<string, string>>): string {
	const path = mkdtempSync(join(root, 'source-'));
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(dirname(join(path, name)), { recursive: true });
		writeFileSync(join(path, name), text, { mode: 0o644 });
	}
	return path;
}

/** Calls installScripts with an image that has `given.image`. */
export async function install(given: Case): Promise<Installed> {
	const { required = ['assemble', 'run'], optional = [], labels = {}, env = [], image = {} } = given;
	const source = makeSource(given.source ?? {});
	given.arrange?.(source);
	const directory = join(mkdtempSync(join(root, 'placed-')), 'scripts');
	const events: BuildEvent[] = [];
	const inspect: ScriptInput['inspect'] = (stat) =>
		Promise.resolve(
			stat.map((path) => ({ path, type: path in image ? 'file' : 'missing', mode: image[path] ?? 0 }) as const),
		);
	const { scripts, placed } = await installScripts(
		{ required, optional },
		{
			contract: readContract({ Labels: labels, Env: [...env] }),
			scriptsUrl: given.scriptsUrl,
			source: given.source === undefined && given.arrange === undefined ? undefined : source,
			directory,
			inspect,
			http,
			emit: (event) => events.push(event),
		},
		signal,
	);
	return { scripts, placed, events, directory, source, text: (name) => readFileSync(join(directory, name), 'utf8') };
}

export const warnings = ({ events }: Installed): readonly string[] =>
	events.flatMap((each) => (each.type === 'warning' ? [each.message] : []));
export const inImage: Readonly<Record<string, number>> = { '/s2i/assemble': 0o755, '/s2i/run': 0o755 };
