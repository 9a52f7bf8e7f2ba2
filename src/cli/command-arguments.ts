import type { HostArguments } from './host-options.js';
import type { ImageArguments, IncrementalArguments, PullArguments, RuntimeArguments } from './image-options.js';
import type { ModeArguments, OutputArguments } from './output-options.js';
import type { InputArguments, SandboxArguments } from './sandbox-options.js';
import type { EnvironmentArguments, ScriptArguments, SourceArguments } from './source-options.js';

/** The arguments of `s2oci build`, as typed. */
export interface BuildArguments
	extends HostArguments,
		SourceArguments,
		ScriptArguments,
		EnvironmentArguments,
		InputArguments,
		ImageArguments,
		RuntimeArguments,
		PullArguments,
		IncrementalArguments,
		SandboxArguments,
		OutputArguments,
		ModeArguments {
	readonly source: string;
	readonly builder: string;
	readonly tag: string | undefined;
}

/** The arguments of `s2oci rebuild`, as typed. */
export interface RebuildArguments
	extends HostArguments,
		PullArguments,
		IncrementalArguments,
		InputArguments,
		SandboxArguments,
		OutputArguments,
		Pick<ScriptArguments, 'destination'>,
		Pick<RuntimeArguments, 'runtimePullPolicy'> {
	readonly image: string;
	readonly tag: string | undefined;
	readonly source: string | undefined;
}

/** The arguments of `s2oci run`, as typed. */
export interface RunArguments
	extends HostArguments,
		Pick<EnvironmentArguments, 'environment'>,
		Pick<SandboxArguments, 'securityOptions'> {
	readonly image: string;
}

/** The arguments of `s2oci usage`, as typed. */
export interface UsageArguments
	extends HostArguments,
		PullArguments,
		Pick<ScriptArguments, 'scriptsUrl' | 'destination'>,
		Pick<EnvironmentArguments, 'environment'> {
	readonly image: string;
}

/** The arguments of `s2oci generate`, as typed. */
export interface GenerateArguments
	extends HostArguments,
		PullArguments,
		Pick<ScriptArguments, 'scriptsUrl' | 'destination' | 'assembleUser'>,
		Pick<BuildArguments, 'environment' | 'imageScriptsUrl' | 'assembleRuntimeUser'> {
	readonly builder: string;
	readonly output: string;
}
