# A Node.js that is new enough. To be sourced after packages.sh; it defines functions only.
# shellcheck shell=sh
# shellcheck source=scripts/npm.sh
. "${scripts:-scripts}/npm.sh"

NODE_VERSION=24.21.0
NPM_VERSION=11.21.2

node_is_new_enough() {
	have node && have npm && node -e '
		const [major, minor] = process.versions.node.split(".").map(Number);
		process.exit(major > 22 || (major === 22 && minor >= 19) ? 0 : 1);
	'
}

# Notes what fetching Node.js takes.
need_node() {
	node_is_new_enough || need curl openssl
}

# Uses the host's Node.js when it is 22.19 or newer; else puts one from the npm registry on PATH, kept in the cache.
require_node() {
	node_is_new_enough && return
	require_commands curl openssl
	PATH=$(node_directory "$NODE_VERSION")/bin:$PATH
	export PATH
	node_is_new_enough || die "Node.js 22.19 or newer is needed. Install it from https://nodejs.org and try again"
}

# node_directory VERSION: fetches a Node.js unless the cache has it, and prints where it is.
node_directory() {
	node=$(cache_dir)/node-$1
	if [ ! -x "$node/bin/node" ]; then fetch_node "$1" "$node" >&2; fi
	echo "$node"
}

node_arch() {
	case $(uname -m) in
	x86_64) echo x64 ;;
	aarch64) echo arm64 ;;
	*) die "Node.js 22.19 or newer is needed, and none is packaged for $(uname -m). Install it and try again" ;;
	esac
}

# The SHA-512 of the package of a version, in base64, as the npm registry has it.
node_sum() {
	case $(node_arch)-$1 in
	x64-22.19.0) echo kjgmAijr2xPcEIrK1eky8L05W9pZcVUYihQbsN99F0zQP6VXX+DlAbSFbVre3bI7oLjtyUd10/vCdCkxfqnysw== ;;
	x64-24.21.0) echo 3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q== ;;
	x64-26.12.1) echo jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A== ;;
	arm64-22.20.0) echo eVexvODYds5ya11f+1D0r33WVf6BGvoSvofyVYQFMFMytblCCwlgJStpOb4IdomSnfVQWLAt0tNgYE5iXxSRuA== ;;
	arm64-24.21.0) echo FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g== ;;
	arm64-26.12.1) echo 8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ== ;;
	*) die "no checksum is known here of Node.js $1 for $(node_arch)" ;;
	esac
}

# fetch_node VERSION DIRECTORY: Node.js and npm.
fetch_node() {
	say "fetching Node.js $1 and npm $NPM_VERSION from the npm registry $(npm_registry) into $2"
	rm -rf "$2.partial"
	mkdir -p "$2.partial/lib/node_modules/npm"
	fetch_package "node-linux-$(node_arch)" "$1" "$(node_sum "$1")" "$2.partial"
	fetch_package npm "$NPM_VERSION" \
		7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A== \
		"$2.partial/lib/node_modules/npm"
	ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$2.partial/bin/npm"
	ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$2.partial/bin/npx"
	mv "$2.partial" "$2"
}

# Installs the npm dependencies when the lock file is newer than what is there.
require_modules() {
	installed=node_modules/.package-lock.json
	if [ ! -e "$installed" ] || [ -n "$(find package-lock.json -newer "$installed")" ]; then
		say 'installing the npm dependencies'
		npm ci --no-audit --no-fund >&2
		touch "$installed"
	fi
}

# Compiles src when something there is newer than the last build.
require_build() {
	if [ ! -d dist ] || [ -n "$(find src package.json tsconfig.build.json -newer dist | head -n 1)" ]; then
		# What a failed build leaves must not pass for a build the next time.
		npm run --silent build >&2 || { rm -rf dist && return 1; }
	fi
}
