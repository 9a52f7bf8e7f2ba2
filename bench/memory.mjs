// Peak memory of a process tree, without what runs in a sandbox below it.
import { readdirSync, readFileSync } from 'node:fs';

const SANDBOXES = new Set(['runc', 'crun', 'bwrap']);
const INTERVAL_MS = 50;

/** Samples the tree below `pid` every 50 ms until `stop()`, which returns the largest sum of PSS (else RSS), in bytes. */
export function sampleMemory(pid) {
	let peak = 0;
	const timer = setInterval(() => {
		const total = treeOf(pid).reduce((sum, member) => sum + memoryOf(member), 0);
		peak = Math.max(peak, total);
	}, INTERVAL_MS);
	return () => {
		clearInterval(timer);
		return peak;
	};
}

function treeOf(root) {
	const children = childrenByParent();
	const tree = [];
	const queue = [root];
	while (queue.length > 0) {
		const pid = queue.pop();
		tree.push(pid);
		queue.push(...(children.get(pid) ?? []));
	}
	return tree;
}

/** Parent -> children, of every process but the sandboxes: what is below them is assemble, not s2oci. */
function childrenByParent() {
	const children = new Map();
	for (const name of readdirSync('/proc')) {
		const stat = /^\d+$/.test(name) ? readProc(`/proc/${name}/stat`) : undefined;
		const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat ?? '') ?? [];
		if (parent === undefined || SANDBOXES.has(command.split(':')[0])) continue;
		const siblings = children.get(Number(parent)) ?? [];
		children.set(Number(parent), [...siblings, Number(name)]);
	}
	return children;
}

function memoryOf(pid) {
	const pss = /^Pss:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/smaps_rollup`) ?? '');
	const rss = pss ?? /^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`) ?? '');
	return Number(rss?.[1] ?? 0) * 1024;
}

function readProc(path) {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		// The process ended between the listing and the reading, or is not ours to look at.
		return undefined;
	}
}
