import type { SkeletonFile } from './skeleton-file.js';

/** What a new builder image is built from and explained by. */
export function projectFiles(image: string): readonly SkeletonFile[] {
	return [
		{ path: 'Dockerfile', mode: 0o644, text: dockerfile(image) },
		{ path: 'Makefile', mode: 0o644, text: makefile(image) },
		{ path: 'README.md', mode: 0o644, text: readme(image) },
	];
}

function dockerfile(image: string): string {
	return `# The ${image} builder image. BASE is any Linux image with a shell: make BASE=registry.access.redhat.com/ubi9/ubi
ARG BASE=docker.io/library/debian:bookworm-slim
FROM \${BASE}

# TODO: name the maintainer.
# LABEL maintainer="Your Name <your@example.com>"

# TODO: say what it is for. The last label is what makes it an S2I builder image: where its scripts are.
LABEL io.k8s.display-name="${image}" \\
      io.k8s.description="Serves static files" \\
      io.openshift.expose-services="8080:http" \\
      io.openshift.tags="builder,html" \\
      io.openshift.s2i.scripts-url="image:///usr/libexec/s2i"

# TODO: install what applications need to be built and run. The sample needs busybox and nothing else.
RUN if ! command -v busybox >/dev/null; then \\
      apt-get update && apt-get install -y --no-install-recommends busybox && rm -rf /var/lib/apt/lists/*; \\
    fi

COPY s2i/bin/ /usr/libexec/s2i/

# Scripts run as user 1001 of group 0, and some platforms choose another user of group 0: so the group may write.
RUN mkdir -p /opt/app-root/src && chown -R 1001:0 /opt/app-root && chmod -R g=u /opt/app-root

ENV HOME=/opt/app-root/src
WORKDIR /opt/app-root/src
USER 1001
EXPOSE 8080
CMD ["/usr/libexec/s2i/usage"]
`;
}

function makefile(image: string): string {
	return `IMAGE_NAME := ${image}
# The image that the Dockerfile begins with, and options for the program that builds it.
BASE ?= docker.io/library/debian:bookworm-slim
BUILD_FLAGS ?=
# What builds the Dockerfile: the first of these that is installed.
BUILDER ?= $(firstword $(foreach name,buildah podman docker,$(if $(shell command -v $(name)),$(name))))
S2OCI ?= s2oci
PORT ?= 8080

build_buildah = buildah bud --build-arg BASE=$(BASE) $(BUILD_FLAGS) -t $(IMAGE_NAME) .
build_podman = podman build --build-arg BASE=$(BASE) $(BUILD_FLAGS) -t $(IMAGE_NAME) .
build_docker = docker build --build-arg BASE=$(BASE) $(BUILD_FLAGS) -t $(IMAGE_NAME) .
export_buildah = buildah push $(IMAGE_NAME) oci:build/image:latest
export_podman = podman push $(IMAGE_NAME) oci:build/image:latest
export_docker = docker save -o build/image.tar $(IMAGE_NAME)
IMAGE := $(if $(filter docker,$(BUILDER)),docker-archive:build/image.tar,oci:build/image:latest)

.PHONY: build
build:
	@test -n "$(BUILDER)" || { echo 'install buildah, podman or docker to build the Dockerfile' >&2; exit 1; }
	$(build_$(BUILDER))

# An image on disk, so that the test needs no registry and no daemon.
.PHONY: export
export: build
	rm -rf build
	mkdir build
	$(export_$(BUILDER))

.PHONY: test
test: export
	IMAGE='$(IMAGE)' S2OCI='$(S2OCI)' PORT='$(PORT)' test/run

.PHONY: clean
clean:
	rm -rf build
`;
}

function readme(image: string): string {
	return `# ${image}

A [Source-to-Image](https://github.com/openshift/source-to-image) builder image: together with source code it makes an
image that is ready to run. This one is a beginning; look for \`TODO\` in its files.

| File | What it is for |
|---|---|
| \`Dockerfile\` | the builder image: what applications need to be built and run, and the scripts |
| \`s2i/bin/assemble\` | builds the application from \`/tmp/src\` |
| \`s2i/bin/run\` | starts the application |
| \`s2i/bin/save-artifacts\` | what the next incremental build can use, as a tar on stdout; optional |
| \`s2i/bin/usage\` | says how the image is used |
| \`test/run\`, \`test/test-app\` | builds an application with the image, starts it and asks for its page |

\`\`\`sh
make build        # the image, with buildah, podman or docker
make test         # the same, then its test; needs s2oci
make build BASE=registry.access.redhat.com/ubi9/ubi-minimal    # with another base; it needs busybox, or change the sample
\`\`\`

Use it once it is in a registry:

\`\`\`sh
s2oci build <source> registry.example/${image} registry.example/application
s2oci run registry.example/application
\`\`\`
`;
}
