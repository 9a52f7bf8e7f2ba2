import { ISOLATIONS, ROOT_FILESYSTEMS, USER_NAMESPACES } from '../pipeline/choices.js';
import { LOG_FORMATS, LOG_LEVELS, listed } from './choices.js';
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
		isolation: textOption(
			'isolation',
			'KIND',
			`what runs scripts: ${listed(ISOLATIONS, { chroot: 'for root without mounts', none: 'in place' })}; default auto`,
			{ offer: ISOLATIONS },
		),
		userns: textOption('userns', 'KIND', `user namespace: ${listed(USER_NAMESPACES)}; default auto`, {
			offer: USER_NAMESPACES,
		}),
		rootfs: textOption(
			'rootfs',
			'KIND',
			`how the image is laid out: ${listed(ROOT_FILESYSTEMS, { 'in-place': 'the job runs in it' })}; default auto`,
			{ offer: ROOT_FILESYSTEMS },
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
			{ offer: LOG_LEVELS },
		),
		logFormat: textOption('log-format', 'FORMAT', `${listed(LOG_FORMATS)}; default auto`, { offer: LOG_FORMATS }),
	}),
};
