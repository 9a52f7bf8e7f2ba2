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
