import {
	type Container,
	type EnvironmentEntry,
	type Exited,
	emptyDirectory,
	type Node,
	type SecurityContext,
} from './container.js';
import { makeVolume, type Objects, type Volume } from './volumes.js';

interface PodContainer {
	readonly image: string;
	readonly command?: readonly string[];
	readonly args?: readonly string[];
	readonly env?: readonly EnvironmentEntry[];
	readonly securityContext?: SecurityContext;
	readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

/** An Indexed Job whose pods have one container. */
export interface Job {
	readonly spec: {
		readonly completions: number;
		readonly suspend?: boolean;
		readonly template: {
			readonly spec: { readonly containers: readonly [PodContainer]; readonly volumes?: readonly Volume[] };
		};
	};
}

/** Runs the pods of a Job one after the other, once each; resolves with how they ended. A suspended one has none. */
export async function runJob(node: Node, { spec }: Job, objects: Objects): Promise<readonly Exited[]> {
	const ended: Exited[] = [];
	for (let index = 0; spec.suspend !== true && index < spec.completions; index += 1) {
		ended.push(await node.run(containerOf(node, spec.template.spec, index, objects)));
	}
	return ended;
}

function containerOf(node: Node, pod: Job['spec']['template']['spec'], index: number, objects: Objects): Container {
	const [{ image, command, args, env = [], securityContext = {}, volumeMounts = [] }] = pod.containers;
	const root = emptyDirectory(node.directory);
	const volumes = new Map((pod.volumes ?? []).map((volume) => [volume.name, makeVolume(volume, root, objects)]));
	const mounts = volumeMounts.map(({ name, mountPath: path, readOnly = false }) => {
		const source = volumes.get(name);
		if (source === undefined) throw new Error(`there is no volume ${name}`);
		return { source, path, readOnly };
	});
	// It is set by the controller of Jobs (kubernetes.io/docs/concepts/workloads/controllers/job "Completion mode").
	const all = [...env, { name: 'JOB_COMPLETION_INDEX', value: String(index) }];
	return { image, command, args, env: all, security: securityContext, mounts };
}
