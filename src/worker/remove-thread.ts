import { workerData } from 'node:worker_threads';
import { removeBeneath } from '../remove-tree.js';
import type { RawPath } from '../root-path.js';

const { root, paths } = workerData as { readonly root: RawPath; readonly paths: readonly RawPath[] };
// What this cannot remove, the thread that started it meets again.
for (const path of paths) removeBeneath(root, path);
