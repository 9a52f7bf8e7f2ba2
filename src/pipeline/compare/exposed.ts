import type { ContainerConfig } from '../../oci/image.js';

/** The TCP ports that an image says it serves. */
export interface Exposed {
	/** Ascending. */
	readonly ports: readonly number[];
}

/** `8080:http,8443:https`, as OpenShift has it. */
const SERVICES = 'io.openshift.expose-services';
const PORT = /^(\d{1,5})(?:\/tcp)?$/;

/** The ports of EXPOSE and of the label of exposed services; what is no port is passed over. */
export function exposedPorts(config: ContainerConfig): Exposed {
	const services = (config.Labels?.[SERVICES] ?? '').split(',').map((service) => service.split(':')[0]?.trim() ?? '');
	const texts = [...Object.keys(config.ExposedPorts ?? {}), ...services];
	const ports = texts.flatMap((text) => Number(PORT.exec(text)?.[1] ?? 0)).filter((port) => port > 0 && port < 65_536);
	return { ports: [...new Set(ports)].sort((a, b) => a - b) };
}
