import type { Image } from '../../oci/image.js';
import type { Root } from '../root.js';
import { installedPackages, PACKAGE_FILES } from './packages.js';
import type { Field, Transcript } from './transcript.js';

/** Labels that say which build it was. */
const OF_ONE_BUILD =
	/^(?:io\.s2oci\.|io\.openshift\.s2i\.build\.|io\.openshift\.build\.|org\.opencontainers\.image\.(?:created|revision|base\.))/;

/** What the image says of itself, and the packages that are installed in it, field by field. Its config has kept unknown fields. */
export async function describeImage(image: Image, root: Root): Promise<Transcript> {
	const files = await root.read(PACKAGE_FILES);
	const textOf = (path: string) => files.find((file) => file.path === path)?.text;
	return [
		...describeConfig(image),
		...installedPackages(textOf, (path) => files.find((file) => file.path === path)?.type),
	];
}

/** The config of `image`, one field for each key. */
export function describeConfig({ config: { value } }: Pick<Image, 'config'>): Transcript {
	const config = (value.config ?? {}) as Readonly<Record<string, unknown>>;
	const labels = Object.entries((config['Labels'] ?? {}) as Readonly<Record<string, unknown>>);
	const variables = ((config['Env'] ?? []) as readonly string[]).map((text) => text.split(/=(.*)/s));
	return [
		field('platform', [value.os, value.architecture, value.variant].filter(Boolean).join('/')),
		...(['User', 'WorkingDir', 'Entrypoint', 'Cmd', 'StopSignal', 'Healthcheck', 'Shell'] as const).map((key) =>
			field(key, wordOf(config[key])),
		),
		...(['ExposedPorts', 'Volumes'] as const).map((key) =>
			field(
				key,
				Object.keys(config[key] ?? {})
					.sort()
					.join(' '),
			),
		),
		...variables.map(([name = '', text = '']) => field(`Env ${name}`, text)),
		...labels
			.filter(([name]) => !OF_ONE_BUILD.test(name))
			.map(([name, text]) => field(`Labels ${name}`, wordOf(text), 'label')),
	];
}

function field(name: string, word: string, kind: Field['kind'] = 'image'): Field {
	return { kind, name: `config: ${name}`, value: { type: 'word', word: word === '' ? 'nothing' : word } };
}

function wordOf(value: unknown): string {
	return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}
