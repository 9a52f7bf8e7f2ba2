import { type Arguments, section, switchOption, textList, textOption } from './options.js';

/** Where images come from and how the command reports, as typed; of every command that runs a sandbox. */
export interface HostArguments {
	readonly platform: string | undefined;
	readonly dockerConfig: string | undefined;
	readonly insecureRegistries: readonly string[];
	readonly caBundle: string | undefined;
	readonly isolation: string | undefined;
	readonly userns: string | undefined;
	readonly rootfs: string | undefined;
	readonly store: string | undefined;
	readonly quiet: boolean;
	readonly loglevel: string | undefined;
	readonly logFormat: string | undefined;
}

/** The options of {@link HostArguments}. */
export const hostOptions: Arguments<HostArguments> = {
	...section<Pick<HostArguments, 'platform' | 'dockerConfig' | 'insecureRegistries' | 'caBundle'>>('Registries', {
		platform: textOption('platform', 'OS/ARCH', 'variant of a multi-platform image; default that of this host'),
		dockerConfig: textOption(
			'dockercfg-path',
			'FILE',
			'registry credentials; default what podman and docker login write',
			{
				offer: 'file',
			},
		),
		insecureRegistries: textList(
			'insecure-registry',
			'HOST',
			'registry that may use plain HTTP or an unverified certificate',
		),
		caBundle: textOption(
			'ca-bundle',
			'FILE',
			'extra certificate authorities; default $SSL_CERT_FILE or $NODE_EXTRA_CA_CERTS',
			{ offer: 'file' },
		),
	}),
	...section<Pick<HostArguments, 'isolation' | 'userns' | 'rootfs'>>('Sandbox', {
		isolation: textOption('isolation', 'KIND', 'what runs scripts: auto, runc, crun, bwrap or none; default auto', {
			offer: ['auto', 'runc', 'crun', 'bwrap', 'none'],
		}),
		userns: textOption('userns', 'KIND', 'user namespace: auto, full, single or none; default auto', {
			offer: ['auto', 'full', 'single', 'none'],
		}),
		rootfs: textOption(
			'rootfs',
			'KIND',
			'how the image is laid out: auto, overlay, copy or in-place (the job runs in it); default auto',
			{
				offer: ['auto', 'overlay', 'copy', 'in-place'],
			},
		),
	}),
	...section<Pick<HostArguments, 'store' | 'quiet' | 'loglevel' | 'logFormat'>>('General', {
		store: textOption('store', 'DIR', 'where unpacked layers are kept; default $S2OCI_STORE, else ~/.cache/s2oci', {
			offer: 'directory',
		}),
		quiet: switchOption('quiet', "no progress, no steps, no stdout of the image's scripts", 'q'),
		loglevel: textOption(
			'loglevel',
			'0-5',
			'0 essentials, 1 steps, 2 configuration, 3 decisions, 4 transfers, 5 files; default 1',
			{ offer: ['0', '1', '2', '3', '4', '5'] },
		),
		logFormat: textOption('log-format', 'FORMAT', 'auto, tty, plain or json; default auto', {
			offer: ['auto', 'tty', 'plain', 'json'],
		}),
	}),
};
