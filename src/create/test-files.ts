import type { SkeletonFile } from './skeleton-file.js';

/** The test of a new builder image, and the application it builds. */
export function testFiles(image: string): readonly SkeletonFile[] {
	return [
		{ path: 'test/run', mode: 0o755, text: testRun(image) },
		{ path: 'test/test-app/index.html', mode: 0o644, text: PAGE },
	];
}

const PAGE = `<!doctype html>
<html lang="en">
<head><title>Hello</title></head>
<body><h1>Hello from the test application</h1></body>
</html>
`;

function testRun(image: string): string {
	return `#!/bin/sh
# Tests the ${image} builder image: builds test/test-app with it, twice, runs the result and asks for its page.
# IMAGE is the image to test, S2OCI the program, PORT where the application listens.
set -eu

cd "$(dirname "$0")/.."
IMAGE=\${IMAGE:-oci:build/image:latest}
S2OCI=\${S2OCI:-s2oci}
PORT=\${PORT:-8080}
work=$(mktemp -d)
application=oci:$work/application:latest
server=

clean_up() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

fail() {
	echo "FAILED: $1" >&2
	exit 1
}

page() {
	if command -v curl >/dev/null; then
		curl -fsS "http://127.0.0.1:$PORT/"
	elif command -v wget >/dev/null; then
		wget -qO- "http://127.0.0.1:$PORT/"
	else
		python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$PORT/').read().decode())"
	fi
}

echo "--- usage"
$S2OCI usage "$IMAGE" | grep -q "s2oci build" || fail "usage does not say how to build"

echo "--- build"
$S2OCI build test/test-app "$IMAGE" "$application" --copy --loglevel 0 || fail "the build"

echo "--- incremental build"
$S2OCI build test/test-app "$IMAGE" "$application" --copy --incremental --loglevel 0 || fail "the incremental build"

echo "--- run"
$S2OCI run --env PORT="$PORT" "$application" &
server=$!
tries=0
until page >"$work/page" 2>/dev/null; do
	tries=$((tries + 1))
	[ "$tries" -lt 60 ] || fail "no answer on port $PORT"
	kill -0 "$server" 2>/dev/null || fail "the application ended"
	sleep 1
done
cmp "$work/page" test/test-app/index.html || fail "the page is another one"

echo "PASSED"
`;
}
