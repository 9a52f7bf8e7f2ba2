import { renderGithub } from './github.js';
import { renderGitlab } from './gitlab.js';
import { renderKubernetes } from './kubernetes.js';
import { renderShipwright } from './shipwright.js';
import { renderTekton } from './tekton.js';
import type { EngineName, EngineWork, Work } from './work.js';

const RENDERERS: Readonly<Record<EngineName, (work: Work) => EngineWork>> = {
	gitlab: renderGitlab,
	github: renderGithub,
	tekton: renderTekton,
	shipwright: renderShipwright,
	kubernetes: renderKubernetes,
};

/** `work` as `engine` reads it, in JSON, which is YAML as well. Throws USAGE for what the engine cannot be told. */
export function renderWork(engine: EngineName, work: Work): { readonly text: string; readonly left: number } {
	const { document, left } = RENDERERS[engine](work);
	return { text: JSON.stringify(document, undefined, engine === 'github' ? undefined : '\t'), left };
}
