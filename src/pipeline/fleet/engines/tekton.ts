import { TEKTON } from '../../../engine-names.js';
import { firstOf, jobImageOf } from './words.js';
import type { EngineWork, Work } from './work.js';

/** A list of TaskRuns for `kubectl create`, one for each image, which is a parameter that the step gets as an argument. */
export function renderTekton(work: Work): EngineWork {
	const { images, left } = firstOf(work);
	const taskSpec = taskOf(work, jobImageOf(work, 'tekton'));
	const items = images.map((image) => ({
		apiVersion: 'tekton.dev/v1',
		kind: 'TaskRun',
		metadata: { generateName: 's2oci-rebuild-', labels: { 'app.kubernetes.io/part-of': 's2oci-fleet' } },
		spec: { params: [{ name: TEKTON.image, value: image }], taskSpec },
	}));
	return { document: { apiVersion: 'v1', kind: 'List', items }, left };
}

function taskOf({ options, credentials }: Work, image: string) {
	const secret = credentials === undefined ? [] : [credentials];
	return {
		params: [{ name: TEKTON.image, type: 'string' }],
		results: [TEKTON.imageUrl, TEKTON.imageDigest].map((name) => ({ name, type: 'string' })),
		steps: [
			{
				name: 'rebuild',
				image,
				command: ['s2oci'],
				args: [
					...['rebuild', `$(params.${TEKTON.image})`, ...options, '--pull-policy', 'always'],
					...['--ci-output', 'tekton', '--ci-output-path', `$(results.${TEKTON.imageDigest}.path)/..`],
				],
				env: [
					{ name: 'S2OCI_STORE', value: '/store' },
					...secret.map(() => ({ name: 'DOCKER_CONFIG', value: '/credentials' })),
				],
				volumeMounts: [
					{ name: 'store', mountPath: '/store' },
					...secret.map(() => ({ name: 'credentials', mountPath: '/credentials', readOnly: true })),
				],
			},
		],
		volumes: [{ name: 'store', emptyDir: {} }, ...secret.map(credentialsVolume)],
	};
}

/** The secret of the type kubernetes.io/dockerconfigjson, as the file that `DOCKER_CONFIG` leads to. */
export function credentialsVolume(secretName: string): object {
	const items = [{ key: '.dockerconfigjson', path: 'config.json' }];
	return { name: 'credentials', secret: { secretName, items } };
}
