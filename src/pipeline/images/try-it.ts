import { formatImageLocation, type ImageLocation, isEngineLocation, namesImage } from '../../content/location.js';
import type { Digest } from '../../oci/digest.js';
import type { ContainerConfig } from '../../oci/image.js';

const SERVICES = 'io.openshift.expose-services';
const PORT = /^(\d{1,5})(?:\/tcp)?$/;
const MAX_PORTS = 3;

/** The command line that runs the image `digest` at `location`, whose ports `config` says, on a terminal of this user. */
export function tryLine(location: ImageLocation, config: ContainerConfig, digest: Digest): string {
	if (!isEngineLocation(location)) {
		const pinned = namesImage(location) ? '' : `@${digest}`;
		return `s2oci run ${quoted(`${formatImageLocation(location)}${pinned}`)}`;
	}
	const program = location.type === 'podman' ? 'podman' : 'docker';
	const ports = portsOf(config).map((port) => `-p ${port}:${port} `);
	return `${program} run --rm ${ports.join('')}${quoted(location.name)}`;
}

function portsOf(config: ContainerConfig): readonly string[] {
	const exposed = Object.keys(config.ExposedPorts ?? {});
	const services = (config.Labels?.[SERVICES] ?? '').split(',').map((service) => service.split(':')[0]?.trim() ?? '');
	const ports = [...exposed, ...services].flatMap((text) => PORT.exec(text)?.[1] ?? []);
	return [...new Set(ports)].slice(0, MAX_PORTS);
}

/** `text` as one word of a shell. */
export function quoted(text: string): string {
	return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
