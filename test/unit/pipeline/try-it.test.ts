import { expect, test } from 'vitest';
import { parseImageLocation } from '../../../src/content/location.js';
import { digestOf } from '../../../src/oci/digest.js';
import { tryLine } from '../../../src/pipeline/images/try-it.js';

const line = (text: string, config = {}) => tryLine(parseImageLocation(text), config, digestOf(Buffer.from('')));

test.each([
	['podman:app', 'podman run --rm app'],
	['docker-daemon:team/app:1', 'docker run --rm team/app:1'],
	['reg.example/app', 's2oci run reg.example/app:latest'],
	["oci:it's here:latest", "s2oci run 'oci:it'\\''s here:latest'"],
])('%s is tried with %s', (text, expected) => {
	expect(line(text)).toBe(expected);
});

test('its ports are those of the image, and nothing else that stands there', () => {
	const Labels = { 'io.openshift.expose-services': '8443:https,8080:http,$(reboot):x' };
	const config = { ExposedPorts: { '8080/tcp': {}, '53/udp': {}, '; reboot': {} }, Labels };
	expect(line('podman:app', config)).toBe('podman run --rm -p 8080:8080 -p 8443:8443 app');
});
