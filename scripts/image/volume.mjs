// Makes the image for volumes: node volume.mjs oci:DIR[:REF] S2OCI.tar LOADER, which is the name of the one in /s2oci/lib.
import { readFileSync } from 'node:fs';
import { copyTar, file, tarOf } from './layer.mjs';
import { writeImage } from './write.mjs';

const [place, archive, loader] = process.argv.slice(2);
const lib = '/s2oci/lib';
const copy = readFileSync(new URL('copy.mjs', import.meta.url));
await writeImage(place, {
	title: 's2oci for volumes',
	description: 'Puts s2oci on a volume, for jobs that run in a builder image',
	// There is no shell that could start bin/node.
	config: { Entrypoint: [`${lib}/${loader}`, '--library-path', lib, `${lib}/node`, '/copy.mjs'] },
	layers: [
		{
			comment: 's2oci',
			tar: tarOf(
				copyTar(archive, (entry) => entry),
				file('copy.mjs', copy),
			),
		},
	],
});
