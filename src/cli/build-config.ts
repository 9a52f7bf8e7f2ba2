import { type NameImage, nameImages, parseImageStream } from '../build-config/image-streams.js';
import { readQuantity } from '../build-config/quantity.js';
import { type ReadBuildConfig, readBuildConfig } from '../build-config/read-build-config.js';
import type { BuildConfig } from '../build-config/schema.js';
import { readNamedSecrets } from '../build-config/secrets.js';
import { type CopiedImage, readSourceImages } from '../build-config/source-images.js';
import { type NamedValue, readShownFiles, readSourceFiles, readVariables } from '../build-config/values.js';
import { readYamlObjects, type YamlObject } from '../build-config/yaml-objects.js';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { BeforePush, BuildRequest } from '../pipeline/request.js';
import { redact } from '../redact.js';
import { readSmallFile } from '../small-file.js';
import { withCredentials } from './build-config-credentials.js';
import { readLocation } from './image-names.js';
import type { Completed } from './parse-command.js';
import type { Notice, Word } from './words.js';

/** A BuildConfig with what was given beside it. */
export interface GivenBuildConfig {
	readonly config: ReadBuildConfig;
	/** Of its file and of `--objects`. */
	readonly objects: readonly YamlObject[];
	readonly nameImage: NameImage;
}

/** What a BuildConfig is given with on a command line. */
export interface BuildConfigArguments {
	/** `FILE` or `FILE#NAME`. */
	readonly file: string;
	readonly objects: readonly string[];
	/** `NAME[:TAG]=IMAGE`. */
	readonly imageStreams: readonly string[];
}

const MAX_BYTES = 8 << 20;

/** Reads the files of `given`. Throws USAGE. */
export async function openBuildConfig(given: BuildConfigArguments): Promise<GivenBuildConfig> {
	const [, file = '', name] = /^(.+?)(?:#([^#/]+))?$/s.exec(given.file) ?? [];
	const streams = given.imageStreams.map(parseImageStream);
	const config = readBuildConfig(await readText('--build-config', file), file, name);
	const more: YamlObject[] = [];
	for (const each of given.objects) more.push(...readYamlObjects(await readText('--objects', each), each));
	const objects = [...more, ...config.beside];
	return { config, objects, nameImage: nameImages(streams, objects, config.value.metadata.namespace) };
}

/**
 * What the BuildConfig that `words` name adds to them: what was typed wins. Each field that a build does not follow is a notice. Throws USAGE
 * with the place in the file.
 */
export async function completeFromBuildConfig(words: readonly Word[]): Promise<Completed> {
	const values = (long: string) =>
		words.flatMap((word) => (word.type === 'option' && word.long === long ? [word.value] : []));
	const [file = ''] = values('build-config');
	const given = await openBuildConfig({ file, objects: values('objects'), imageStreams: values('image-stream') });
	const typed = words.filter(({ type }) => type === 'positional').length;
	const isTyped = (long: string) => words.some((word) => word.type !== 'positional' && word.long === long);
	const added = optionWords(given, typed === 0).filter((word) => word.type !== 'positional' && !isTyped(word.long));
	const replaced = new Set(values('env').map((text) => text.replace(/=.*$/s, '')));
	const variables = readVariables(given.config, given.objects, replaced);
	const { others, value } = given.config;
	const contextDir = values('context-dir').at(-1) ?? value.spec.source.contextDir;
	const { images, notices: outside } = readSourceImages(given.config, contextDir, given.nameImage);
	const secrets = readNamedSecrets(given.config, given.objects);
	const ignored = others.filter(({ field }) => !secrets.fields.has(field));
	const notices = ignored.map(({ at, field, fate }) => notice(`${at}: ${redact(field)} is ${fate}`));
	return {
		words: [...words, ...positionalWords(given, typed), ...added],
		notices: [
			...notices,
			...(secrets.left === undefined ? [] : [notice(redact(secrets.left))]),
			...outside.map(notice),
			...noticesOf(given.config, variables),
		],
		adapt: (request) => {
			const adapted = copyingImages(images, adaptRequest(given, variables, request, typed === 0));
			return withCredentials(secrets, { images, isGit: typed === 0 }, adapted);
		},
	};
}

function positionalWords({ config, nameImage }: GivenBuildConfig, typed: number): readonly Word[] {
	const { spec } = config.value;
	const from = ['spec', 'strategy', 'sourceStrategy', 'from'];
	const readers = [
		() => sourceOf(config),
		() => nameImage(spec.strategy.sourceStrategy.from, 'read', config.at(from)),
		() => spec.output.to && nameImage(spec.output.to, 'write', config.at(['spec', 'output', 'to'])),
	];
	return readers.slice(typed).flatMap((read): readonly Word[] => {
		const value = read();
		return value === undefined ? [] : [{ type: 'positional', value }];
	});
}

function sourceOf({ value, at }: ReadBuildConfig): string {
	const { git, binary } = value.spec.source;
	if (git !== undefined) return git.uri;
	const what = binary === undefined ? 'has no git source' : 'has a binary source';
	throw new BuildError('USAGE', `${at(['spec', 'source'])}: the BuildConfig ${what}, and no source is given`, {
		hint: 'Give it as the first argument, a directory, an archive, a file, or - for a tar on stdin: s2oci build SOURCE --build-config FILE.',
	});
}

/** Options that say what `spec` does; those of the git source only when that is what is built. */
function optionWords({ config, nameImage }: GivenBuildConfig, isGit: boolean): readonly Word[] {
	const { source, strategy, completionDeadlineSeconds: deadline } = config.value.spec;
	const { scripts, incremental, forcePull, runtimeImage, runtimeArtifacts } = strategy.sourceStrategy;
	const option = (long: string, value: string | undefined): readonly Word[] =>
		value === undefined || value === '' ? [] : [{ type: 'option', long, value }];
	const at = config.at(['spec', 'strategy', 'sourceStrategy', 'runtimeImage']);
	return [
		...option('ref', isGit ? source.git?.ref : undefined),
		...option('context-dir', source.contextDir),
		...option('scripts-url', scripts),
		...(incremental ? [{ type: 'flag', long: 'incremental', on: true } as const] : []),
		...option('pull-policy', forcePull ? 'always' : undefined),
		...option('runtime-image', runtimeImage && nameImage(runtimeImage, 'read', at)),
		...runtimeArtifacts.flatMap((each) => option('runtime-artifact', `${each.sourcePath}:${each.destinationDir}`)),
		...option('timeout', deadline === undefined ? undefined : `${deadline}s`),
		...limitWords(config, option),
	];
}

function limitWords(
	{ value, at }: ReadBuildConfig,
	option: (long: string, value: string) => readonly Word[],
): readonly Word[] {
	const { memory, cpu } = value.spec.resources.limits;
	const read = (field: 'memory' | 'cpu', quantity: string | number) => {
		const number = readQuantity(quantity);
		if (number !== undefined) return number;
		const path = ['spec', 'resources', 'limits', field];
		throw new BuildError('USAGE', `${at(path)}: ${path.join('.')} is no quantity`, {
			hint: 'Write it as Kubernetes does, such as 512Mi or 500m.',
		});
	};
	return [
		...(memory === undefined ? [] : option('memory', String(Math.round(read('memory', memory))))),
		...(cpu === undefined ? [] : option('cpus', String(Math.round(read('cpu', cpu) * 1000) / 1000))),
	];
}

/** What runs before the push; undefined when nothing does. An empty script is none, as in OpenShift. */
function beforePushOf({ spec }: BuildConfig): BeforePush | undefined {
	const { script, command, args } = spec.postCommit;
	if (script !== '') return { script, args };
	if (command.length > 0) return { command, args };
	return args.length > 0 ? { args } : undefined;
}

/** `request`, whose source gets what is wanted of `images`: they are pulled as the builder is, as in OpenShift. */
function copyingImages(images: readonly CopiedImage[], request: BuildRequest): BuildRequest {
	if (images.length === 0) return request;
	const { pullPolicy, source } = request;
	const copied = images.map(({ name, paths }) => ({ image: readLocation(name), pullPolicy, paths }));
	return { ...request, source: { ...source, images: copied } };
}

/** `request` with what no option says. */
function adaptRequest(
	{ config, objects }: GivenBuildConfig,
	values: readonly NamedValue[],
	request: BuildRequest,
	isGit: boolean,
): BuildRequest {
	const { source, output } = config.value.spec;
	const { variables, assemble, image } = request;
	const environment = values.map(({ name, value }) => ({ name, value }));
	const files = readShownFiles(config, objects).map(({ path, content }) => ({ destination: path, content }));
	const proxies = isGit ? proxiesOf(source.git) : {};
	return {
		...request,
		source: { ...request.source, files: readSourceFiles(config, objects), gitEnvironment: proxies },
		variables: { ...variables, environment: [...environment, ...variables.environment] },
		assemble: { ...assemble, files },
		output: { ...request.output, beforePush: request.output.beforePush ?? beforePushOf(config.value) },
		image: { ...image, labels: [...output.imageLabels.map(({ name, value }) => ({ name, value })), ...image.labels] },
	};
}

/** As git reads them (git-config(1), http.proxy). */
function proxiesOf(git: BuildConfig['spec']['source']['git']): Readonly<Record<string, string>> {
	const all = { http_proxy: git?.httpProxy, https_proxy: git?.httpsProxy, no_proxy: git?.noProxy };
	return Object.fromEntries(
		Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
	);
}

function noticesOf({ value }: ReadBuildConfig, variables: readonly NamedValue[]): readonly Notice[] {
	const asFile = value.spec.source.binary?.asFile ?? '';
	const secret = variables.filter(({ isSecret }) => isSecret).map(({ name }) => redact(name));
	return [
		...secret.map((name) =>
			notice(
				`the variable ${name} is of a Secret and gets into the image's ENV, as in OpenShift; --secret keeps a value out`,
			),
		),
		...(asFile === ''
			? []
			: [notice('spec.source.binary.asFile is ignored: a file that is the source keeps its name')]),
	];
}

function notice(message: string): Notice {
	return { code: 'BUILD_CONFIG', message };
}

async function readText(option: string, file: string): Promise<string> {
	const path = absolutePath(file);
	try {
		return (await readSmallFile(path, MAX_BYTES)).toString('utf8');
	} catch (cause) {
		const why = errnoOf(cause) === 'ENOENT' ? 'there is no such file' : messageOf(cause);
		throw new BuildError('USAGE', `${option}: ${JSON.stringify(redact(file))}: ${why}`, {
			hint: 'Name a file of at most 8 MiB, such as `oc get buildconfig,secret,configmap,imagestream -o yaml` prints.',
			cause,
		});
	}
}
