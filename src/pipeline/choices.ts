import { SANDBOX_NAMES, type SandboxName } from '../sandbox/sandboxes.js';

/** What can run the processes of a build; the first is the default. `none` goes with the rootfs `in-place` only. */
export const ISOLATIONS: readonly ['auto', ...SandboxName[]] = ['auto', ...SANDBOX_NAMES];

/** Which user namespace the worker can run in; the first is the default. */
export const USER_NAMESPACES = ['auto', 'full', 'single', 'none'] as const;

/** How the image can be laid out for assemble to change it; the first is the default. */
export const ROOT_FILESYSTEMS = ['auto', 'overlay', 'copy', 'in-place'] as const;

/**
 * When a registry is asked for an image; the first is the default. `check` asks for the manifest and falls back to what is recorded in the
 * store when it cannot be reached.
 */
export const PULL_POLICIES = ['check', 'always', 'if-not-present', 'never'] as const;

/**
 * Whether an image that was built from the same is named again in place of building. Undefined is neither: then only what this user built on
 * this host counts, and only where no secrets are given.
 */
export const REUSE = ['auto', 'never'] as const;
