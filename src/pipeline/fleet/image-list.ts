import { BuildError } from '../../errors.js';
import { parseJson } from '../../json.js';

const MAX_IMAGES = 20_000;
const MAX_NESTED_LISTS = 5;

/**
 * The names of images in `text`, each once, in their order: one a line (empty lines and what begins with # are passed over), or what
 * `kubectl get ... -o json` prints: whatever has a pod template or is a pod, and lists of those, with their initContainers. `what` is for
 * messages. Throws USAGE for what is neither.
 */
export function readImageList(text: string, what: string): readonly string[] {
	const names = /^\s*[[{]/.test(text) ? namesInManifests(text, what) : namesInLines(text, what);
	const distinct = [...new Set(names)];
	if (distinct.length <= MAX_IMAGES) return distinct;
	throw new BuildError('USAGE', `${what} names more than ${MAX_IMAGES} images`, { hint: 'Plan them in parts.' });
}

function namesInLines(text: string, what: string): readonly string[] {
	if (/^(?:apiVersion|kind|items|metadata):/m.test(text)) {
		throw new BuildError('USAGE', `${what} is YAML, and JSON is needed`, { hint: 'Use kubectl get ... -o json.' });
	}
	return text
		.split('\n')
		.map((line) => line.trim())
		.filter((line) => line !== '' && !line.startsWith('#'));
}

function namesInManifests(text: string, what: string): readonly string[] {
	let document: unknown;
	try {
		document = parseJson(text);
	} catch (cause) {
		const hint = 'Give what kubectl get deployments,cronjobs -o json prints, or names, one a line.';
		throw new BuildError('USAGE', `${what} begins like JSON, and is none`, { hint, cause });
	}
	return (Array.isArray(document) ? document : [document]).flatMap((each) => imagesOf(each, 0));
}

/** The images of one object of a cluster, or of a list of them. Of what else objects have, nothing is read. */
function imagesOf(object: unknown, depth: number): readonly string[] {
	const items = field(object, 'items');
	if (Array.isArray(items)) {
		return depth === MAX_NESTED_LISTS ? [] : items.flatMap((item) => imagesOf(item, depth + 1));
	}
	const spec = field(object, 'spec');
	const template = field(spec, 'template');
	const jobTemplate = field(field(field(spec, 'jobTemplate'), 'spec'), 'template');
	return [spec, field(template, 'spec'), field(jobTemplate, 'spec')].flatMap(imagesOfPod);
}

function imagesOfPod(spec: unknown): readonly string[] {
	const lists = ['initContainers', 'containers', 'ephemeralContainers'].map((name) => field(spec, name));
	const containers: readonly unknown[] = lists.flatMap((list): readonly unknown[] => (Array.isArray(list) ? list : []));
	return containers
		.map((container) => field(container, 'image'))
		.filter((image): image is string => typeof image === 'string' && image !== '');
}

function field(value: unknown, name: string): unknown {
	if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
	return (value as Readonly<Record<string, unknown>>)[name];
}
