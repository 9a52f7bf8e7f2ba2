import type { SkeletonFile } from './skeleton-file.js';

/** The S2I scripts of a new builder image, which serves static files with busybox. */
export function scripts(image: string): readonly SkeletonFile[] {
	return [
		{ path: 's2i/bin/assemble', mode: 0o755, text: ASSEMBLE },
		{ path: 's2i/bin/run', mode: 0o755, text: RUN },
		{ path: 's2i/bin/save-artifacts', mode: 0o755, text: SAVE_ARTIFACTS },
		{ path: 's2i/bin/usage', mode: 0o755, text: usage(image) },
	];
}

const ASSEMBLE = `#!/bin/sh
# Turns the source in /tmp/src into an application in the working directory. What this script leaves behind is the new
# layer of the image. A status other than 0 fails the build.
set -eu

if [ "\${1:-}" = "-h" ]; then
	exec /usr/libexec/s2i/usage
fi

# What save-artifacts of the previous image saved is here in an incremental build.
if [ -n "$(ls -A /tmp/artifacts 2>/dev/null)" ]; then
	echo "---> Restoring build artifacts"
	cp -R /tmp/artifacts/. ./
fi

echo "---> Installing application source"
cp -Rf /tmp/src/. ./

# TODO: build the application: install its dependencies, compile it. Read tokens from /run/secrets (s2oci build --secret).
`;

const RUN = `#!/bin/sh
# Starts the application. exec lets it get the signals that end the container.
set -eu

# TODO: start your server instead.
exec busybox httpd -f -v -p "\${PORT:-8080}" -h "$PWD"
`;

const SAVE_ARTIFACTS = `#!/bin/sh
# Writes what the next incremental build can use as a tar to stdout; nothing else may be printed there.
set -eu

# TODO: name what is worth keeping, such as downloaded dependencies:
#   exec tar -cf - node_modules
# Until then, the artifacts are an empty tar: two blocks of zeros.
exec head -c 1024 /dev/zero
`;

function usage(image: string): string {
	return `#!/bin/sh
# Says how the image is used: s2oci usage ${image}
cat <<'TEXT'
This is the ${image} builder image: it serves a directory of static files over HTTP on port 8080.

Build an application with it, and run that:

    s2oci build <source> ${image} <application>
    s2oci run <application>
TEXT
`;
}
