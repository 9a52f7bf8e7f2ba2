import { credentialsVolume } from './tekton.js';
import { jobImageOf, shortHash } from './words.js';
import type { EngineWork, Work } from './work.js';

/** A ConfigMap may hold 1 MiB (kubernetes.io/docs/concepts/configuration/configmap); names beside their numbers fit into this much of it. */
const MAX_NAMES_BYTES = 900_000;
/** The same for every fleet: the names of images are files, and the options are arguments. */
const SCRIPT = 'exec s2oci rebuild "$(cat "/fleet/$JOB_COMPLETION_INDEX")" "$@"';

/**
 * A list for `kubectl create`: an Indexed Job with a pod for each image, and a ConfigMap with their names. One that fails is tried once more and
 * stops no other (backoffLimitPerIndex, Kubernetes 1.29). Canaries are a Job of their own, beside which that of the others is suspended.
 */
export function renderKubernetes(work: Work): EngineWork {
	const { canary = 0 } = work;
	const images = fitting(work.images);
	const waves = [
		{ role: 'canary', images: images.slice(0, canary), suspend: false },
		{ role: 'rebuild', images: images.slice(canary), suspend: canary > 0 },
	].filter((wave) => wave.images.length > 0);
	const image = jobImageOf(work, 'kubernetes');
	const items = waves.flatMap((wave) => {
		const name = `s2oci-fleet-${shortHash(image, ...wave.images)}-${wave.role}`;
		const labels = { 'app.kubernetes.io/part-of': 's2oci-fleet', 'app.kubernetes.io/component': wave.role };
		return [namesOf(wave, { name, labels }), jobOf(work, wave, { name, labels }, image)];
	});
	return { document: { apiVersion: 'v1', kind: 'List', items }, left: work.images.length - images.length };
}

interface Wave {
	readonly images: readonly string[];
	readonly suspend: boolean;
}

interface Metadata {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
}

function fitting(images: readonly string[]): readonly string[] {
	let bytes = 0;
	const end = images.findIndex((image, index) => (bytes += image.length + String(index).length) > MAX_NAMES_BYTES);
	return end < 0 ? images : images.slice(0, end);
}

function namesOf({ images }: Wave, metadata: Metadata) {
	const data = Object.fromEntries(images.map((image, index) => [String(index), image]));
	return { apiVersion: 'v1', kind: 'ConfigMap', metadata, immutable: true, data };
}

function jobOf({ maxParallel, options, credentials }: Work, wave: Wave, metadata: Metadata, image: string) {
	const completions = wave.images.length;
	return {
		apiVersion: 'batch/v1',
		kind: 'Job',
		metadata,
		spec: {
			completionMode: 'Indexed',
			completions,
			parallelism: Math.min(maxParallel ?? completions, completions),
			backoffLimitPerIndex: 1,
			suspend: wave.suspend,
			ttlSecondsAfterFinished: 86_400,
			template: { metadata: { labels: metadata.labels }, spec: podOf(options, credentials, metadata.name, image) },
		},
	};
}

function podOf(options: readonly string[], credentials: string | undefined, fleet: string, image: string) {
	const secret = credentials === undefined ? [] : [credentials];
	return {
		restartPolicy: 'Never',
		automountServiceAccountToken: false,
		containers: [
			{
				name: 'rebuild',
				image,
				command: ['sh', '-c', SCRIPT, 's2oci-fleet'],
				args: [...options, '--pull-policy', 'always'],
				env: [
					{ name: 'S2OCI_STORE', value: '/store' },
					...secret.map(() => ({ name: 'DOCKER_CONFIG', value: '/credentials' })),
				],
				volumeMounts: [
					{ name: 'fleet', mountPath: '/fleet', readOnly: true },
					{ name: 'store', mountPath: '/store' },
					...secret.map(() => ({ name: 'credentials', mountPath: '/credentials', readOnly: true })),
				],
			},
		],
		volumes: [
			{ name: 'fleet', configMap: { name: fleet } },
			{ name: 'store', emptyDir: {} },
			...secret.map(credentialsVolume),
		],
	};
}
