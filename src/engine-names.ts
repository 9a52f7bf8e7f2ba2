/**
 * How the s2oci of each engine is called, and what it takes: the names of the files in `ci/`. What `s2oci convert` and `s2oci fleet plan` write has
 * these and no others.
 */

/** The ClusterBuildStrategies for Shipwright; that for builds has the parameters of Red Hat's `source-to-image`. */
export const SHIPWRIGHT = {
	strategy: 's2oci',
	rebuildStrategy: 's2oci-rebuild',
	options: 'options',
	builder: 'builder-image',
	environment: 'build-env',
	scriptsUrl: 'scripts-url',
	pullPolicy: 'pull-policy',
	incremental: 'incremental',
} as const;

/** The Task for Tekton. */
export const TEKTON = {
	task: 's2oci',
	image: 'IMAGE',
	builder: 'BUILDER_IMAGE',
	source: 'SOURCE',
	ref: 'REF',
	contextDir: 'CONTEXT',
	environment: 'ENV_VARS',
	labels: 'LABELS',
	scriptsUrl: 'SCRIPTS_URL',
	pullPolicy: 'PULL_POLICY',
	incremental: 'INCREMENTAL',
	options: 'OPTIONS',
	sourceWorkspace: 'source',
	imageUrl: 'IMAGE_URL',
	imageDigest: 'IMAGE_DIGEST',
} as const;

/** The component for GitLab (`templates/build.yml`) and the action for GitHub (`action.yml`): inputs of one name. Lists are lines. */
export const CI = {
	component: '$CI_SERVER_FQDN/s2oci/s2oci/build@0.1',
	action: 's2oci/s2oci@v0',
	image: 'image',
	builder: 'builder-image',
	source: 'source',
	ref: 'ref',
	contextDir: 'context-dir',
	environment: 'env',
	labels: 'labels',
	scriptsUrl: 'scripts-url',
	pullPolicy: 'pull-policy',
	incremental: 'incremental',
	beforePush: 'before-push',
} as const;
