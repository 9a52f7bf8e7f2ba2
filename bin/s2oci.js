#!/usr/bin/env node
// This file alone must be understood by any Node.js.
const FLOOR = [22, 19];
const HOST = 4;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < FLOOR[0] || (major === FLOOR[0] && minor < FLOOR[1])) {
	console.error(
		`error: s2oci needs Node.js ${FLOOR.join('.')} or newer, and ${process.execPath} is ${process.versions.node}`,
	);
	console.error('hint: Install a newer Node.js, or put the directory of one that is installed first in PATH.');
	process.exit(HOST);
}
const { runProcess } = await import('../dist/library/program.js');
await runProcess();
