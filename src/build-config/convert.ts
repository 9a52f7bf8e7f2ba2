import { Document } from 'yaml';
import { redact } from '../redact.js';
import { toGithub, toGitlab } from './ci.js';
import { type EngineBuild, readEngineBuild } from './engine-build.js';
import type { NameImage } from './image-streams.js';
import { toShipwright, toTekton } from './kubernetes.js';
import { type Engine, type LeftField, leftFields } from './left-fields.js';
import type { ReadBuildConfig } from './read-build-config.js';
import type { YamlObject } from './yaml-objects.js';

const WRITERS: Readonly<Record<Engine, (build: EngineBuild) => object>> = {
	shipwright: toShipwright,
	tekton: toTekton,
	gitlab: toGitlab,
	github: toGithub,
};

/**
 * The build of `config` for `engine`, as YAML with a comment for each field that has no counterpart there. Of Secrets it has names only; values
 * of ConfigMaps are taken from `objects` where the engine cannot name them. Throws USAGE.
 */
export function convert(
	config: ReadBuildConfig,
	engine: Engine,
	given: { readonly objects: readonly YamlObject[]; readonly nameImage: NameImage },
): string {
	const build = readEngineBuild(config, given);
	const document = new Document(WRITERS[engine](build));
	const left = leftFields(config, build, engine).map(line);
	const head = ` Converted from the BuildConfig ${redact(build.name)}.`;
	document.commentBefore = [head, ...(left.length === 0 ? [] : [' Without a counterpart here:', ...left])].join('\n');
	return document.toString({ lineWidth: 0 });
}

function line({ field, at, why }: LeftField): string {
	return redact(`   ${field} (${at}): ${why}`);
}
