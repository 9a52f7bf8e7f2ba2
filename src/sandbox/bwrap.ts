import { DEFAULT_CAPABILITIES, HOSTNAME, type SandboxSpec } from './sandbox.js';

/** How bwrap is called: its options, which go through a pipe so that no secret of the environment is in an argv, and its ids. */
export interface BwrapCall {
	readonly options: readonly string[];
	readonly uid: number | undefined;
	readonly gid: number | undefined;
}

/**
 * The bwrap options. `statusFd` is where bwrap reports as JSON whether the process started. With a single id the assemble user is
 * that id under another number; with more ids bwrap itself starts as the assemble user, since it cannot switch users.
 */
export function bwrapCall(spec: SandboxSpec, statusFd: number): BwrapCall {
	const { process, userNamespace } = spec;
	const asRoot = userNamespace !== 'single' && process.user.uid === 0;
	const ids = ['--uid', String(process.user.uid), '--gid', String(process.user.gid)];
	return {
		uid: userNamespace === 'single' || asRoot ? undefined : process.user.uid,
		gid: userNamespace === 'single' || asRoot ? undefined : process.user.gid,
		options: [
			...(asRoot ? rootCapabilities() : ['--unshare-user', ...ids, '--cap-drop', 'ALL']),
			...[
				'--unshare-pid',
				'--unshare-ipc',
				'--unshare-uts',
				'--hostname',
				HOSTNAME,
				'--die-with-parent',
				'--new-session',
			],
			...['--json-status-fd', String(statusFd)],
			...[
				'--bind',
				spec.rootfs,
				'/',
				'--proc',
				'/proc',
				'--dev',
				'/dev',
				'--tmpfs',
				'/dev/shm',
				'--ro-bind',
				'/sys',
				'/sys',
			],
			...spec.binds.flatMap((bind) => ['--ro-bind', bind.source, bind.destination]),
			...Object.entries(process.env).flatMap(([name, value]) => ['--setenv', name, value]),
			...(process.env['PATH'] === undefined ? ['--unsetenv', 'PATH'] : []),
			...['--chdir', process.cwd],
		],
	};
}

function rootCapabilities(): readonly string[] {
	return ['--cap-drop', 'ALL', ...DEFAULT_CAPABILITIES.flatMap((name) => ['--cap-add', name])];
}
