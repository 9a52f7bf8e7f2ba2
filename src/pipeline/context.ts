import type { WorkerProcess } from '../host/start-worker.js';
import type { BuildImages } from './images/images.js';
import type { BuildRecord } from './record.js';
import type { BuildRequest } from './request.js';
import type { Session } from './session.js';

/** What every step of a build needs, once its images are known and the worker is there. */
export interface BuildContext {
	readonly request: BuildRequest;
	readonly session: Session;
	readonly worker: WorkerProcess;
	readonly record: BuildRecord;
	readonly images: BuildImages;
	readonly signal: AbortSignal;
}
