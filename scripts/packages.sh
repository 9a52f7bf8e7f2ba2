# What the scripts need from the host. To be sourced.
# shellcheck shell=sh

# Debian's PATH for users does not have the programs of e2fsprogs and libc-bin.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# Packages that were found missing, for install_missing.
missing=

cache_dir() {
	echo "${S2OCI_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/s2oci-test}"
}

say() {
	echo "$*" >&2
}

die() {
	say "$(basename "$0"): $*"
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

package_of() {
	case $1 in
	curl) echo curl ca-certificates ;;
	bwrap) echo bubblewrap ;;
	newuidmap) echo uidmap ;;
	mmdebstrap) echo mmdebstrap debian-archive-keyring ;;
	setpriv | flock | unshare) echo util-linux ;;
	umount) echo mount ;;
	script) echo bsdutils ;;
	getent | ldd) echo libc-bin ;;
	useradd) echo passwd ;;
	mkfs.ext4 | lsattr | chattr) echo e2fsprogs ;;
	mkfs.btrfs) echo btrfs-progs ;;
	capsh | setcap | getcap) echo libcap2-bin ;;
	dockerd) echo docker.io ;;
	# Debian 13 has the client in a package of its own.
	docker) if grep -qE '^VERSION_CODENAME="?(bookworm|bullseye|jammy|noble)' /etc/os-release; then echo docker.io; else echo docker-cli; fi ;;
	ip) echo iproute2 ;;
	java) echo default-jre-headless ;;
	ps) echo procps ;;
	groff) echo groff-base ;;
	*) echo "$1" ;;
	esac
}

# need COMMAND...: notes the packages of the commands that are missing.
need() {
	for command in "$@"; do
		# shellcheck disable=SC2046 # one word per package
		have "$command" || need_packages $(package_of "$command")
	done
}

# need_file PATH PACKAGE
need_file() {
	[ -e "$1" ] || need_packages "$2"
}

# need_library SONAME PACKAGE
need_library() {
	ldconfig -p | grep -qF "$1" || need_packages "$2"
}

need_packages() {
	for package in "$@"; do
		case " $missing " in
		*" $package "*) ;;
		*) missing="$missing $package" ;;
		esac
	done
}

# Installs what was noted: with apt as root; else it says, once and for all of it, what to install.
install_missing() {
	# shellcheck disable=SC2086 # one word per package
	[ -z "$missing" ] || install_packages $missing
	missing=
}

require_commands() {
	need "$@"
	install_missing
}

install_packages() {
	if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
		say "$(basename "$0"): missing on this machine: $*. Install them as root, and try again:"
		say
		say "	apt-get update && apt-get install -y --no-install-recommends $*"
		exit 1
	fi
	say "installing Debian packages: $*"
	export DEBIAN_FRONTEND=noninteractive
	# One source that fails, which may be somebody else's, does not matter as long as the packages are found.
	apt-get update -qq >&2 || say 'apt-get update failed; going on with the lists there are'
	apt-get install -qq -y --no-install-recommends "$@" >&2
}

# Unpacks one Debian package below the cache, so that no service of it starts and nothing on the host changes.
unpack_package() {
	package=$1
	target=$(cache_dir)/packages/$package
	[ ! -d "$target" ] || return 0
	have apt-get || die "missing on this machine: $package. Install it and try again"
	say "unpacking the Debian package $package into $target"
	mkdir -p "$target.partial"
	download_package "$package" "$target.partial"
	dpkg-deb -x "$target.partial/$package"_*.deb "$target.partial"
	mv "$target.partial" "$target"
}

download_package() (
	cd "$2" && rm -f ./*.deb
	apt_with_lists download "$1" >&2 || die "cannot download $1. Install it as root and try again: apt-get install $1"
)

# apt-get with the host's lists; where these are missing or too old, with lists in the cache, for which one need not be root.
apt_with_lists() {
	if [ -n "$(apt-get indextargets 'Created-By: Packages' 2>/dev/null)" ]; then
		# apt's sandbox user may not write where we do.
		apt-get -qq -o APT::Sandbox::User=root "$@" && return
	fi
	mkdir -p "$(cache_dir)/apt/lists/partial" "$(cache_dir)/apt/archives/partial"
	apt_in_cache update >&2 || say 'apt-get update failed; going on with the lists there are'
	apt_in_cache "$@"
}

apt_in_cache() {
	apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$(cache_dir)/apt/lists" -o "Dir::Cache=$(cache_dir)/apt" "$@"
}

# kept NAME: the path at which the tests find a program, whoever brought it; test/support/programs.ts knows it too.
kept() {
	mkdir -p "$(cache_dir)/bin"
	echo "$(cache_dir)/bin/$1"
}

# Prints the path of a busybox without shared libraries: a copy of the host's, or of Debian's.
static_busybox() {
	busybox=$(kept busybox)
	if [ ! -x "$busybox" ]; then
		found=$(command -v busybox) && ! ldd "$found" >/dev/null 2>&1 || found=
		if [ -z "$found" ]; then
			unpack_package busybox-static
			found=$(find "$(cache_dir)/packages/busybox-static" -type f -path '*/bin/busybox')
		fi
		cp "$found" "$busybox.$$"
		mv "$busybox.$$" "$busybox"
	fi
	echo "$busybox"
}

# Prints the path of the registry server: the host's, or Debian's.
registry_server() {
	server=$(kept docker-registry)
	if [ ! -x "$server" ]; then
		found=$(command -v docker-registry) || found=
		if [ -z "$found" ]; then
			unpack_package docker-registry
			found=$(cache_dir)/packages/docker-registry/usr/bin/docker-registry
		fi
		ln -sfn "$found" "$server"
	fi
	echo "$server"
}
