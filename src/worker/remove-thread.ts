import { workerData } from 'node:worker_threads';
import { removeTree } from '../remove-tree.js';
import type { RawPath } from '../root-path.js';

// What this cannot remove, the thread that started it meets again.
for (const path of workerData as readonly RawPath[]) removeTree(path);
