# What the host's apt is configured to: the scripts name no mirror. To be sourced after packages.sh; it defines functions only.
# shellcheck shell=sh

# shellcheck disable=SC2034 # used by those who source this
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints `LABEL URI RELEASE COMPONENT` for what the host takes from Debian, or from a mirror of it; nothing on another system.
debian_targets() {
	[ -n "$(debian_codename)" ] || return 0
	# shellcheck disable=SC2016 # apt's own names
	all=$(apt_with_lists indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
	ours=$(echo "$all" | sed -n 's/^Debian //p')
	# A mirror that signs by itself has a name of its own.
	[ -n "$ours" ] || ours=$(echo "$all" | awk -v name="$(debian_codename)" 'NF > 2 && $(NF - 1) == name && $NF == "main" {
		print "Debian", $(NF - 2), $(NF - 1), $NF
	}')
	echo "$ours"
}

# The mirror that the host takes Debian itself from; nothing on another system, for which mmdebstrap has a default.
debian_mirror() {
	debian_targets | awk '$1 == "Debian" && $NF == "main" { print $(NF - 2); exit }'
}

# The code name of the host, when it is a Debian.
debian_codename() {
	! grep -qs '^ID=debian' /etc/os-release || sed -nE 's/^VERSION_CODENAME="?([a-z]+)"?$/\1/p' /etc/os-release
}

# apt's settings for the network, as lines of a configuration file.
apt_network_settings() {
	apt-config dump --format '%f "%v";%n' Acquire |
		grep -E '^Acquire::(https?|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date|AllowInsecureRepositories)\b.*"[^"]+";$' |
		grep -v Proxy-Auto-Detect || :
	detect=$(apt-config dump --format '%v%n' Acquire::http::Proxy-Auto-Detect)
	[ -n "$detect" ] || return 0
	proxy=$("$detect" "$(debian_mirror)" | grep -v DIRECT) || return 0
	echo "Acquire::http::Proxy \"$proxy\";"
}

# copy_apt_settings DIRECTORY: what another system needs in its /etc/apt to take this one's way to the mirror.
copy_apt_settings() {
	mkdir -p "$1/apt.conf.d"
	apt_network_settings >"$1/apt.conf.d/00host"
	for file in auth.conf auth.conf.d; do
		if [ -r "/etc/apt/$file" ]; then cp -R "/etc/apt/$file" "$1/"; fi
	done
}

# debian_sources SUITE: the lines of a sources.list for it: this machine's own mirrors when it has the same suite. Nothing on a machine that
# has none; mmdebstrap has a default.
debian_sources() {
	if [ "$1" = "$(debian_codename)" ]; then
		debian_targets | awk -v key="$DEBIAN_KEYRING" '{ print "deb [signed-by=" key "]", $(NF - 2), $(NF - 1), $NF }' | sort -u
	elif [ -n "$(debian_mirror)" ]; then
		echo "deb [signed-by=$DEBIAN_KEYRING] $(debian_mirror) $1 main"
	fi
}

# debian_tar DIRECTORY TAR SUITE MIRROR PACKAGES [OPTION...]: makes a small Debian with the packages, as a tar. MIRROR is what mmdebstrap
# takes for one, or nothing for its default. apt's settings, and that nothing need survive a power cut, are there while packages are fetched,
# and not in the tar. They are put into DIRECTORY, which is made.
debian_tar() {
	etc=$1
	tar=$2
	suite=$3
	from=$4
	include=$(printf %s "$5" | tr ' \n' ',,')
	shift 5
	copy_apt_settings "$etc/apt"
	mkdir -p "$etc/dpkg/dpkg.cfg.d"
	echo force-unsafe-io >"$etc/dpkg/dpkg.cfg.d/00host"
	mmdebstrap --quiet --mode=auto --variant=minbase --include="$include" "--setup-hook=cp -R '$etc/.' \"\$1/etc/\"" \
		"--customize-hook=cd \"\$1/etc\" && rm -rf apt/apt.conf.d/00host dpkg/dpkg.cfg.d/00host apt/auth.conf apt/auth.conf.d/*" \
		"$@" "$suite" "$tar" ${from:+"$from"} >&2 ||
		die 'mmdebstrap failed. It needs root or a range in /etc/subuid and /etc/subgid, and a Debian mirror it can reach'
}
