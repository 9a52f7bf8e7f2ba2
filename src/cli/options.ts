import { array, flag, multioption, option, optional, type Runner, string, type Type } from 'cmd-ts';

/** A command of cmd-ts whose value is its arguments. */
export type Grammar<T> = Omit<Runner<T, T>, 'version'>;

type TextOption = ReturnType<typeof option<ReturnType<typeof optional<typeof string>>>>;
type TextList = ReturnType<typeof multioption<Type<string[], readonly string[]>>>;
type Flag = ReturnType<typeof flag>;

/** An option that may be absent, shown as `--long <placeholder>`. */
export function textOption(long: string, placeholder: string, description: string, short?: string): TextOption {
	const type = optional({ ...string, displayName: placeholder });
	return option({ type, long, description, ...(short === undefined ? {} : { short }) });
}

/** An option that may be given any number of times. */
export function textList(long: string, placeholder: string, description: string, short?: string): TextList {
	const type = array({ ...string, displayName: placeholder });
	return multioption({
		type,
		long,
		description: `${description} (repeatable)`,
		...(short === undefined ? {} : { short }),
	});
}

/** An option that takes no value. */
export function switchOption(long: string, description: string, short?: string): Flag {
	return flag({ long, description, ...(short === undefined ? {} : { short }) });
}

/** The values of {@link hostOptions}, as typed. */
export interface HostArguments {
	readonly store: string | undefined;
	readonly platform: string | undefined;
	readonly isolation: string | undefined;
	readonly insecureRegistries: readonly string[];
	readonly caBundle: string | undefined;
	readonly quiet: boolean;
	readonly loglevel: string | undefined;
	readonly logFormat: string | undefined;
}

/** The options that every command which runs a sandbox has. */
export const hostOptions: {
	readonly store: TextOption;
	readonly platform: TextOption;
	readonly isolation: TextOption;
	readonly insecureRegistries: TextList;
	readonly caBundle: TextOption;
	readonly quiet: Flag;
	readonly loglevel: TextOption;
	readonly logFormat: TextOption;
} = {
	store: textOption('store', 'DIR', 'where unpacked layers are kept; default $S2OCI_STORE, else ~/.cache/s2oci'),
	platform: textOption('platform', 'OS/ARCH', 'variant of a multi-platform image; default that of this host'),
	isolation: textOption('isolation', 'KIND', 'what runs the image: auto, runc, crun or bwrap; default auto'),
	insecureRegistries: textList(
		'insecure-registry',
		'HOST',
		'registry that may use plain HTTP or an unverified certificate',
	),
	caBundle: textOption(
		'ca-bundle',
		'FILE',
		'extra certificate authorities; default $SSL_CERT_FILE or $NODE_EXTRA_CA_CERTS',
	),
	quiet: switchOption('quiet', "no progress, no steps, no stdout of the image's scripts", 'q'),
	loglevel: textOption(
		'loglevel',
		'0-5',
		'0 essentials, 1 steps, 2 configuration, 3 decisions, 4 transfers, 5 files; default 1',
	),
	logFormat: textOption('log-format', 'FORMAT', 'auto, tty, plain or json; default auto'),
};
