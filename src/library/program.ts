/** What bin/s2oci.js starts, and what other packages import: one file, so that both share all others. */
export { runProcess } from '../cli/run-process.js';
export * from './index.js';
