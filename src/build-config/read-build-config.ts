import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { formatPath, type OtherField, otherFields } from './fields.js';
import { type BuildConfig, buildConfigSchema } from './schema.js';
import { type Path, readYamlObjects, type YamlObject } from './yaml-objects.js';

/** A BuildConfig with the source strategy, checked. */
export interface ReadBuildConfig {
	readonly value: BuildConfig;
	readonly at: YamlObject['at'];
	/** What no build follows. */
	readonly others: readonly OtherField[];
	/** The other objects of its file, such as Secrets. */
	readonly beside: readonly YamlObject[];
}

/**
 * The BuildConfig of `text`, the one called `name` when there are several. `file` is for messages. Throws USAGE with `FILE:LINE:COLUMN` for
 * what is no BuildConfig, or one that is not for Source-to-Image.
 */
export function readBuildConfig(text: string, file: string, name?: string): ReadBuildConfig {
	const objects = readYamlObjects(text, file);
	const object = choose(objects, file, name);
	const kind = v.safeParse(strategySchema, object.value);
	if (kind.success && kind.output.spec.strategy.sourceStrategy === undefined) throw otherStrategy(object);
	const parsed = v.safeParse(buildConfigSchema, object.value);
	if (!parsed.success) throw invalid(object, parsed.issues[0]);
	checkTogether(parsed.output, object);
	const beside = objects.filter((each) => each !== object);
	return { value: parsed.output, at: object.at, others: otherFields(object), beside };
}

const strategySchema = v.object({
	spec: v.object({ strategy: v.looseObject({ sourceStrategy: v.optional(v.any()) }) }),
});

const headSchema = v.object({
	kind: v.literal('BuildConfig'),
	apiVersion: v.optional(v.string()),
	metadata: v.optional(v.object({ name: v.optional(v.string()) })),
});

function choose(objects: readonly YamlObject[], file: string, name: string | undefined): YamlObject {
	const all = objects.flatMap((object) => {
		const head = v.safeParse(headSchema, object.value);
		return head.success ? [{ object, ...head.output }] : [];
	});
	const wanted = all.filter(({ metadata }) => name === undefined || metadata?.name === name);
	const [first] = wanted;
	const names = all.map(({ metadata }) => metadata?.name ?? '').join(', ');
	if (first === undefined) {
		const what = name === undefined ? 'no BuildConfig' : `no BuildConfig ${JSON.stringify(name)}`;
		throw new BuildError('USAGE', redact(`${file} has ${what}`), {
			hint: all.length > 0 ? `It has ${redact(names)}.` : 'Give what `oc get buildconfig NAME -o yaml` prints.',
		});
	}
	if (wanted.length > 1) {
		throw new BuildError('USAGE', redact(`${file} has ${wanted.length} BuildConfigs`), {
			hint: `Name one of ${redact(names)} behind the file: FILE#NAME.`,
		});
	}
	if (first.apiVersion !== 'build.openshift.io/v1' && first.apiVersion !== 'v1') {
		throw new BuildError(
			'USAGE',
			`${first.object.at(['apiVersion'])}: the BuildConfig is not of build.openshift.io/v1`,
			{
				hint: 'Give apiVersion: build.openshift.io/v1.',
			},
		);
	}
	return first.object;
}

function otherStrategy(object: YamlObject): BuildError {
	const message = `${object.at(['spec', 'strategy'])}: spec.strategy has no sourceStrategy`;
	return new BuildError('USAGE', message, {
		hint: 'Only Source-to-Image builds are made here. For the Docker strategy there is buildah; Jenkins and Custom builds need a pipeline.',
	});
}

/** Values are never shown: they may be secrets. */
function invalid(object: YamlObject, issue: v.BaseIssue<unknown>): BuildError {
	const path: Path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
	const field = formatPath(path);
	const what =
		issue.input === undefined
			? 'is missing'
			: `does not take this ${Array.isArray(issue.input) ? 'list' : typeof issue.input}`;
	return new BuildError('USAGE', `${object.at(path)}: ${field} ${what}`, {
		hint: issue.expected === null ? 'See `oc explain buildconfig.spec --recursive`.' : `It takes ${issue.expected}.`,
	});
}

function checkTogether({ spec }: BuildConfig, object: YamlObject): void {
	const { source, postCommit } = spec;
	if (source.git !== undefined && source.binary !== undefined) {
		throw both(object, ['spec', 'source', 'binary'], 'spec.source.git');
	}
	if (postCommit.script !== '' && postCommit.command.length > 0) {
		throw both(object, ['spec', 'postCommit', 'command'], 'spec.postCommit.script');
	}
}

function both(object: YamlObject, path: Path, other: string): BuildError {
	const message = `${object.at(path)}: ${formatPath(path)} and ${other} exclude each other`;
	return new BuildError('USAGE', message, { hint: 'Leave one of them out.' });
}
