import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest begins first, so that no processor waits for it at the end. */
const LONG = [
	...['inside', 'limits', 'hostile-image', 'mounts', 'buildah', 'lifecycle'],
	...['node-rungs', 'root-builder', 'every-change', 'rungs', 'doctor', 'acceptance', 'incremental', 'cli-scenarios'],
	...['in-place-exact', 'in-place', 'terminate', 'locations', 'interrupt', 'prune', 'hardening', 'docker-daemon'],
];

class LongestFirst extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const rank = ({ moduleId }: TestSpecification): number => {
			const index = LONG.indexOf(basename(moduleId, '.test.ts'));
			return index < 0 ? LONG.length : index;
		};
		return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
	}
}

const setupFiles = ['test/support/environment.ts'];

export default defineConfig({
	test: {
		sequence: { sequencer: LongestFirst },
		// The time limits are for what hangs: what takes seconds takes a minute on a machine that others use too.
		projects: [
			{ test: { name: 'unit', include: ['test/unit/**/*.test.ts'], setupFiles, testTimeout: 60_000 } },
			{
				test: {
					name: 'integration',
					include: ['test/integration/**/*.test.ts'],
					setupFiles,
					testTimeout: 180_000,
					hookTimeout: 300_000,
					maxWorkers: 3,
					// Projects that differ in maxWorkers run one after the other.
					sequence: { groupOrder: 1 },
				},
			},
			{
				test: {
					name: 'e2e',
					include: ['test/e2e/**/*.test.ts'],
					setupFiles,
					globalSetup: ['test/support/own-image-directory.ts'],
					testTimeout: 400_000,
					hookTimeout: 600_000,
					// Builds wait more than they compute, and each test has a workspace of its own.
					maxWorkers: 3,
					sequence: { groupOrder: 2 },
				},
			},
		],
	},
});
