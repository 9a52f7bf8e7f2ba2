// What the numbers were taken on.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const PROGRAMS = ['runc', 'buildah', 'umoci', 'skopeo', 'curl'];

/** `{ date, commit, system, kernel, processors, memory, versions }` as text. */
export function describeMachine(checkout) {
	const [{ model }] = cpus();
	return {
		date: new Date().toISOString().slice(0, 10),
		commit: commitOf(checkout),
		system: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux',
		kernel: release(),
		processors: `${cpus().length} × ${model.trim()}`,
		memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
		versions: {
			node: process.version.slice(1),
			...Object.fromEntries(PROGRAMS.map((name) => [name, versionOf(name)])),
		},
	};
}

function versionOf(program) {
	const output = firstLine(program, ['--version']);
	return /\d+\.\d+[^\s,]*/.exec(output)?.[0] ?? 'missing';
}

function commitOf(checkout) {
	const git = (...words) => firstLine('git', ['-C', checkout, '-c', 'safe.directory=*', ...words]);
	const changed =
		git('status', '--porcelain', '--', 'src', 'bin') === '' ? '' : ', with changes that are not committed';
	return `${git('rev-parse', '--short', 'HEAD') || 'unknown'}${changed}`;
}

function firstLine(program, words) {
	try {
		return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
	} catch {
		return '';
	}
}
