# What npm is configured to, on a host that may have no npm yet: the scripts name no registry. To be sourced after packages.sh;
# it defines functions only.
# shellcheck shell=sh

# npm_setting KEY: from the environment, from an npm of any version, or from npm's files, as npm itself would find it.
npm_setting() {
	upper=$(echo "$1" | tr a-z- A-Z_)
	printenv "npm_config_$(echo "$1" | tr - _)" || printenv "NPM_CONFIG_$upper" || npm_configured "$1" || npm_in_files "$1"
}

npm_configured() {
	have npm || return 1
	value=$(npm_config_update_notifier=false npm config get "$1" 2>/dev/null) || return 1
	case $value in
	'' | undefined | null) return 1 ;;
	*) echo "$value" ;;
	esac
}

# The first file that has KEY decides.
npm_in_files() {
	for file in .npmrc "${NPM_CONFIG_USERCONFIG:-$HOME/.npmrc}" "${NPM_CONFIG_GLOBALCONFIG:-/etc/npmrc}" /usr/local/etc/npmrc \
		/usr/etc/npmrc; do
		[ ! -r "$file" ] || value=$(npmrc_value "$1" "$file")
		[ -z "${value:-}" ] || { echo "$value" && return; }
	done
}

# npmrc_value KEY FILE: the last value of KEY, with ${VARIABLES} replaced.
npmrc_value() {
	awk -v key="$1" '
		{ sub(/^[ \t]+/, "") }
		index($0, key) == 1 && substr($0, length(key) + 1) ~ /^[ \t]*=/ {
			value = substr($0, length(key) + 1)
			sub(/^[ \t]*=[ \t]*/, "", value)
			gsub(/^"|[ \t\r"]+$/, "", value)
		}
		END {
			for (n = 0; n < 9 && match(value, /\$\{[A-Za-z0-9_]+\}/); n++)
				value = substr(value, 1, RSTART - 1) ENVIRON[substr(value, RSTART + 2, RLENGTH - 3)] substr(value, RSTART + RLENGTH)
			print value
		}' "$2"
}

# The registry of npm's configuration; without any, the default in the source of npm, which Debian packages.
npm_registry() {
	registry=$(npm_setting registry)
	[ -n "$registry" ] || registry=$(npm_default_registry)
	[ -n "$registry" ] || die 'no npm registry is configured; set npm_config_registry to the URL of one, and try again'
	echo "${registry%/}"
}

npm_default_registry() {
	unpack_package npm
	find "$(cache_dir)/packages/npm" -name 'definitions.js' -exec \
		sed -nE "/^(define\(|const define|  )?'?registry'?/,/default:/s/^ *default: '(https:[^']+)'.*/\1/p" {} + | head -n 1
}

# The registry, when it is not the one that npm has without any configuration. A sandboxed npm does not see the host's.
npm_other_registry() {
	empty=$(cache_dir)/empty
	mkdir -p "$empty"
	default=$(cd "$empty" && env -i PATH="$PATH" HOME="$empty" npm config get registry --globalconfig "$empty/npmrc")
	configured=$(npm_setting registry)
	[ "${configured%/}" = "${default%/}" ] || echo "$configured"
}

# The authorities that npm is configured to are also those of s2oci, which shows them to assemble.
share_authorities() {
	cafile=$(npm_setting cafile)
	[ -n "${SSL_CERT_FILE:-}" ] || [ -z "$cafile" ] || export SSL_CERT_FILE="$cafile"
}

# fetch_package NAME VERSION SHA512-IN-BASE64 DIRECTORY
fetch_package() {
	archive=$4/package.tgz
	npm_request "$(npm_registry)" "$1/-/$1-$2.tgz" | curl -fsSL --retry 3 --config - -o "$archive" ||
		die "cannot fetch $1 $2 from the npm registry $(npm_registry)"
	actual=$(openssl dgst -sha512 -binary "$archive" | openssl base64 -A)
	[ "$actual" = "$3" ] || die "the npm package $1 $2 has sha512 $actual instead of $3"
	tar -xzf "$archive" -C "$4" --strip-components=1
	rm "$archive"
}

# npm_request REGISTRY PATH: a configuration for curl, which takes it on stdin, so that nobody sees a token in its arguments.
npm_request() {
	echo "url = \"$1/$2\""
	cafile=$(npm_setting cafile)
	[ -z "$cafile" ] || echo "cacert = \"$cafile\""
	proxy=$(npm_setting https-proxy)
	[ -n "$proxy" ] || proxy=$(npm_setting proxy)
	[ -z "$proxy" ] || echo "proxy = \"$proxy\""
	token=$(npm_in_files "${1#http*:}/:_authToken")
	[ -z "$token" ] || echo "header = \"Authorization: Bearer $token\""
}
