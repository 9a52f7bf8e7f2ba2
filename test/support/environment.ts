import { fileURLToPath } from 'node:url';

/** Variables through which git, the container tools and s2oci itself are told of settings. */
const SETTINGS =
	/^(?:GIT_(?!SSL_)|LC_|S2OCI_(?!TEST_)|DOCKER_|CONTAINERS?_|BUILDAH_|STORAGE_|REGISTRY_AUTH_FILE$|SOURCE_DATE_EPOCH$)/;

// Set up before each test file, so that tests come to the same whoever runs them, from wherever, in any language.
for (const name of Object.keys(process.env)) if (SETTINGS.test(name)) Reflect.deleteProperty(process.env, name);
process.env['LC_ALL'] = 'C.UTF-8';
process.env['GIT_CONFIG_GLOBAL'] = fileURLToPath(new URL('./gitconfig', import.meta.url));
process.env['GIT_CONFIG_SYSTEM'] = '/dev/null';
process.umask(0o022);
