import { SHIPWRIGHT } from '../../../engine-names.js';
import { BuildError } from '../../../errors.js';
import { firstOf } from './words.js';
import type { EngineWork, Work } from './work.js';

/** The strategy of `ci/shipwright/rebuild-strategy.yaml`, which a cluster has once. */
const STRATEGY = { kind: 'ClusterBuildStrategy', name: SHIPWRIGHT.rebuildStrategy };

/** A list of BuildRuns for `kubectl create`, one for each image, which is the output of the build that it has in it. */
export function renderShipwright(work: Work): EngineWork {
	if (work.jobImage !== undefined) {
		throw new BuildError('USAGE', '--job-image is not in a BuildRun: Shipwright reads it in the strategy', {
			hint: 'Name the image in the ClusterBuildStrategy s2oci-rebuild.',
		});
	}
	const { images, left } = firstOf(work);
	const { credentials, options } = work;
	const items = images.map((image) => ({
		apiVersion: 'shipwright.io/v1beta1',
		kind: 'BuildRun',
		metadata: { generateName: 's2oci-rebuild-', labels: { 'app.kubernetes.io/part-of': 's2oci-fleet' } },
		spec: {
			build: {
				spec: {
					strategy: STRATEGY,
					...(options.length > 0 && {
						paramValues: [{ name: SHIPWRIGHT.options, values: options.map((value) => ({ value })) }],
					}),
					output: { image, ...(credentials !== undefined && { pushSecret: credentials }) },
				},
			},
		},
	}));
	return { document: { apiVersion: 'v1', kind: 'List', items }, left };
}
