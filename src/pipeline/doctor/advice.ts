import { ENVIRONMENTS, type EnvironmentName } from './facts.js';

/** What a finding means, and the line that fixes it in each kind of place. */
export interface Advice {
	readonly message: string;
	readonly fixes: Partial<Readonly<Record<EnvironmentName, string>>>;
}

const host = (fix: string): Advice['fixes'] => ({ debian: fix, rhel: fix });
const INSTALL = (debian: string, rhel = debian): Advice['fixes'] => ({
	debian: `apt-get install --no-install-recommends ${debian}`,
	rhel: `dnf install ${rhel}`,
	container: `put ${debian} into the image that the job runs in`,
	kubernetes: `put ${debian} into the image that the pod runs in`,
	gitlab: `put ${debian} into the image of the job, or apt-get install it in before_script`,
	github: `sudo apt-get install --no-install-recommends ${debian}`,
});
const PRIVILEGED_RUNNER =
	'in the runner\'s config.toml: privileged = true, or cap_add = ["SYS_ADMIN"] with security_opt = ["apparmor=unconfined"]';
const OWN_NAMESPACE = 'hostUsers: false and capabilities: {add: [SYS_ADMIN]} for the pod';
const VOLUME: Advice['fixes'] = {
	gitlab: 'S2OCI_STORE: $CI_BUILDS_DIR/.s2oci, which is a volume',
	github: 'S2OCI_STORE: ${{ runner.temp }}/s2oci, and no container for the job',
	openshift: 'mount an emptyDir volume, and name it with S2OCI_STORE',
	kubernetes: 'mount an emptyDir volume, and name it with S2OCI_STORE',
	container: 'run it with -v s2oci:/s2oci -e S2OCI_STORE=/s2oci',
	rhel: 'name a directory on a local xfs or ext4 with --store DIR or S2OCI_STORE',
	debian: 'name a directory on a local ext4 or xfs with --store DIR or S2OCI_STORE',
};

const SET_CAPABILITIES =
	'chmod u-s /usr/bin/new?idmap && setcap cap_setuid+ep /usr/bin/newuidmap && setcap cap_setgid+ep /usr/bin/newgidmap';
const MAPPER_CAPABILITIES: Advice['fixes'] = {
	...host(SET_CAPABILITIES),
	container: `RUN ${SET_CAPABILITIES} in the image that the job runs in`,
	kubernetes: `RUN ${SET_CAPABILITIES} in the image of the pod`,
	gitlab: `RUN ${SET_CAPABILITIES} in the image of the job`,
};

/** The advice for every finding; docs/doctor.md has a line for each. */
export const ADVICE = {
	NOT_ROOT: {
		message: 'this rung is for root only',
		fixes: { kubernetes: `runAsUser: 0 with ${OWN_NAMESPACE}, if no other rung works`, gitlab: 'run the job as root' },
	},
	NO_SYS_ADMIN: {
		message: 'this root has no CAP_SYS_ADMIN, without which nothing can be mounted',
		fixes: {
			github:
				'options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined for the container of the job, or no container',
			gitlab: PRIVILEGED_RUNNER,
			openshift: `${OWN_NAMESPACE}, with the SCC nested-container`,
			kubernetes: OWN_NAMESPACE,
			container: '--cap-add SYS_ADMIN --security-opt apparmor=unconfined (Docker), nothing to do for rootless Podman',
			...host('run it as a real root, or as an ordinary user'),
		},
	},
	MAX_USER_NAMESPACES: {
		message: 'user.max_user_namespaces allows no (more) user namespaces',
		fixes: {
			openshift: 'a Tuned or MachineConfig with user.max_user_namespaces=28633 for the nodes',
			kubernetes: 'sysctl -w user.max_user_namespaces=28633 on the nodes',
			container: 'sysctl -w user.max_user_namespaces=28633 on the host',
			gitlab: 'sysctl -w user.max_user_namespaces=28633 on the machine of the runner',
			...host('echo user.max_user_namespaces=28633 > /etc/sysctl.d/userns.conf && sysctl --system'),
		},
	},
	USERNS_CLONE: {
		message: 'kernel.unprivileged_userns_clone is 0, so only root gets user namespaces',
		fixes: {
			debian: 'echo kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/userns.conf && sysctl --system',
			gitlab: 'sysctl -w kernel.unprivileged_userns_clone=1 on the machine of the runner',
			kubernetes: 'sysctl -w kernel.unprivileged_userns_clone=1 on the nodes',
		},
	},
	APPARMOR_USERNS: {
		message: 'AppArmor takes all rights in user namespaces away (kernel.apparmor_restrict_unprivileged_userns is 1)',
		fixes: {
			github: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
			gitlab: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 on the machine of the runner',
			kubernetes: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 on the nodes',
			container: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 on the host',
			debian: 'echo kernel.apparmor_restrict_unprivileged_userns=0 > /etc/sysctl.d/userns.conf && sysctl --system',
		},
	},
	APPARMOR_MOUNT: {
		message: 'the AppArmor profile of this container forbids mounts',
		fixes: {
			github: 'options: --security-opt apparmor=unconfined for the container of the job, or no container',
			gitlab: 'in the runner\'s config.toml: security_opt = ["apparmor=unconfined"]',
			kubernetes: 'securityContext: {appArmorProfile: {type: Unconfined}}',
			container: '--security-opt apparmor=unconfined',
		},
	},
	SECCOMP: {
		message: 'a seccomp filter forbids unshare or mount',
		fixes: {
			github: 'options: --security-opt seccomp=unconfined for the container of the job, or no container',
			gitlab: 'in the runner\'s config.toml: security_opt = ["seccomp=unconfined", "apparmor=unconfined"]',
			openshift: `${OWN_NAMESPACE}, with the SCC nested-container`,
			kubernetes: `securityContext: {seccompProfile: {type: Unconfined}}, or ${OWN_NAMESPACE}`,
			container: '--security-opt seccomp=unconfined, or --cap-add SYS_ADMIN, which opens the filter for it',
		},
	},
	CHANGED_ROOT: {
		message: 'this process runs in a chroot, where the kernel gives nobody a user namespace',
		fixes: host('run it outside of the chroot'),
	},
	NAMESPACES: {
		message: 'the kernel refused namespaces for a reason that is not known here',
		fixes: {
			kubernetes: OWN_NAMESPACE,
			gitlab: PRIVILEGED_RUNNER,
			container: '--privileged, to see whether that is it',
		},
	},
	NO_UNSHARE: { message: 'the program unshare is missing', fixes: INSTALL('util-linux') },
	NO_NEWUIDMAP: { message: 'newuidmap or newgidmap is missing', fixes: INSTALL('uidmap', 'shadow-utils') },
	MAPPER_UNPRIVILEGED: {
		message:
			'newuidmap and newgidmap are neither setuid root nor have capabilities, as copying an image without them may leave it',
		fixes: MAPPER_CAPABILITIES,
	},
	MAPPER_SET_UID: {
		message:
			'newuidmap and newgidmap are set-user-ID root, which has no rights in a container without CAP_SYS_ADMIN; file capabilities have',
		fixes: MAPPER_CAPABILITIES,
	},
	MAPPER_NOSUID: {
		message: 'newuidmap is on a file system that is mounted nosuid, so it has no rights',
		fixes: {
			kubernetes: 'keep the data of the container runtime on a disk that is mounted without nosuid',
			...host('mount it without nosuid'),
		},
	},
	NO_NEW_PRIVS: {
		message: 'this process may gain no privileges (no_new_privs), so newuidmap has no rights, nor has a new root',
		fixes: {
			openshift:
				'securityContext: {allowPrivilegeEscalation: true}; the SCC restricted-v2 does not allow it, nested-container does',
			kubernetes: 'securityContext: {allowPrivilegeEscalation: true}',
			container: 'run it without --security-opt no-new-privileges',
			gitlab: "leave no-new-privileges out of security_opt in the runner's config.toml",
		},
	},
	NO_SUBUID: {
		message: 'this user has no range in /etc/subuid and /etc/subgid, so files of other users cannot be theirs on disk',
		fixes: {
			...host('usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$USER"'),
			kubernetes: 'RUN echo USER:100000:65536 | tee /etc/subuid > /etc/subgid in the image of the pod',
			gitlab: 'RUN echo USER:100000:65536 | tee /etc/subuid > /etc/subgid in the image of the job',
		},
	},
	SUBUID_REFUSED: {
		message: 'the range in /etc/subuid and /etc/subgid was refused; in a container it must be part of what that has',
		fixes: {
			...host('give ranges that no one else has, and that exist here (cat /proc/self/uid_map)'),
			kubernetes:
				'name ids below 65536 in /etc/subuid and /etc/subgid when hostUsers is false, and allow SETUID and SETGID',
			container: 'name ids in /etc/subuid and /etc/subgid that exist in the container (cat /proc/self/uid_map)',
		},
	},
	MASKED_PROC: {
		message: 'parts of /proc are masked, so the kernel allows no new /proc',
		fixes: {
			openshift: 'securityContext: {procMount: Unmasked} with hostUsers: false',
			kubernetes: 'securityContext: {procMount: Unmasked} with hostUsers: false',
			container: '--security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (Podman)',
			gitlab: PRIVILEGED_RUNNER,
			github: 'options: --security-opt systempaths=unconfined for the container of the job, or no container',
		},
	},
	OVERLAY_ON_OVERLAY: {
		message:
			'the store is itself on an overlay, as the root directory of a container is; images are copied instead, which is slower',
		fixes: VOLUME,
	},
	NETWORK_FILE_SYSTEM: {
		message: 'the store is on a network or FUSE file system, which overlays and unpacked layers do not get on with',
		fixes: VOLUME,
	},
	NO_OVERLAY: {
		message: 'the kernel mounts no overlay in the store; images are copied instead, which is slower',
		fixes: VOLUME,
	},
	NO_KOFFI: {
		message: 'koffi, through which s2oci calls the kernel, has no binary for this platform',
		fixes: host('npm install without --omit=optional, on x64 or arm64'),
	},
	NOEXEC: {
		message: 'the store is mounted noexec, so images that are copied there (rungs 4 and 5) cannot be run',
		fixes: {
			...VOLUME,
			...host('mount -o remount,exec, or another --store DIR'),
		},
	},
	NOSUID: {
		message: 'the store is mounted nosuid; that is no harm: no program in a sandbox can gain privileges anyway',
		fixes: {},
	},
	STORE_UNWRITABLE: {
		message: 'the store cannot be written',
		fixes: {
			...VOLUME,
			openshift: 'mount an emptyDir volume, name it with S2OCI_STORE, and let the pod have an fsGroup',
			...host('name a directory of your own with --store DIR or S2OCI_STORE'),
		},
	},
	NO_SPACE: {
		message: 'the store has less than 2 GB free',
		fixes: host('s2oci prune --keep-bytes 5G, or another --store DIR'),
	},
	NO_SANDBOX: { message: 'runc, crun and bwrap are all missing', fixes: INSTALL('bubblewrap runc', 'bubblewrap crun') },
	SANDBOX_REFUSED: {
		message: 'no sandbox that is installed could run a program',
		fixes: INSTALL('bubblewrap runc', 'bubblewrap crun'),
	},
	NO_SYS_CHROOT: {
		message: 'this root has no CAP_SYS_CHROOT, with which at least a changed root directory would do',
		fixes: {
			openshift: 'capabilities: {add: [SYS_CHROOT]}, which takes an SCC that allows it',
			kubernetes: 'leave SYS_CHROOT, SETUID, SETGID and CHOWN out of capabilities: {drop: …}',
			container: '--cap-add SYS_CHROOT',
			gitlab: "leave SYS_CHROOT out of cap_drop in the runner's config.toml",
		},
	},
	IN_PLACE: {
		message: 'a job whose image is the builder image needs no sandbox at all',
		fixes: {
			gitlab: 'image: the builder, and s2oci build --rootfs in-place --isolation none',
			kubernetes: 'the builder as image of the pod, and s2oci build --rootfs in-place --isolation none',
			openshift: 'the builder as image of the pod, and s2oci build --rootfs in-place --isolation none',
		},
	},
	NO_GIT: { message: 'git is missing; only directories and archives can be built', fixes: INSTALL('git') },
	TIMEOUT: { message: 'an attempt did not end in time', fixes: {} },
	REGISTRY_UNREACHABLE: { message: 'a registry does not answer', fixes: {} },
	REGISTRY_TLS: {
		message: 'the certificate of a registry is not trusted',
		fixes: {
			gitlab: '--ca-bundle "$CI_SERVER_TLS_CA_FILE", or the file of your certificate authority',
			openshift: '--ca-bundle /var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt for the internal registry',
			kubernetes: 'mount the certificate authority, and name it with --ca-bundle FILE',
			...host('--ca-bundle FILE with your certificate authority; --insecure-registry HOST for a test registry'),
		},
	},
	REGISTRY_LOGIN: {
		message: 'a registry wants other credentials than it got',
		fixes: {
			github: 'docker/login-action before this step, with permissions: {packages: write} for ghcr.io',
			gitlab: 'write $CI_REGISTRY_USER and $CI_REGISTRY_PASSWORD to ~/.docker/config.json, as the README shows',
			openshift: 'link a pull or push secret to the service account, and mount it as DOCKER_CONFIG',
			kubernetes: 'mount a kubernetes.io/dockerconfigjson secret, and name it with --dockercfg-path',
			debian: 'podman login or docker login',
			rhel: 'podman login',
		},
	},
	REGISTRY_RIGHTS: {
		message: 'a registry allows neither pull nor push here',
		fixes: { github: 'permissions: {packages: write}', gitlab: 'a token that may write the registry of this project' },
	},
} satisfies Readonly<Record<string, Advice>>;

/** Names of findings. */
export type FindingCode = keyof typeof ADVICE;

/** Something that is in the way, or may be, with one line for each kind of place that says what to do. */
export interface Finding {
	readonly code: FindingCode;
	readonly message: string;
	/** The fitting place first. */
	readonly fixes: readonly { readonly place: EnvironmentName; readonly fix: string }[];
}

/** Every code there is. */
export const FINDING_CODES: readonly FindingCode[] = Object.keys(ADVICE) as FindingCode[];

/** The finding `code` with its fixes: those of `places` first and in that order, then all others. */
export function describeFinding(code: FindingCode, places: readonly EnvironmentName[]): Finding {
	const { message, fixes }: Advice = ADVICE[code];
	const ordered = [...places, ...ENVIRONMENTS.filter((place) => !places.includes(place))];
	return {
		code,
		message,
		fixes: ordered.flatMap((place) => (fixes[place] === undefined ? [] : { place, fix: fixes[place] })),
	};
}
