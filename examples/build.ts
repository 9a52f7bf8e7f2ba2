// Builds an image with s2oci as a library: node build.ts SOURCE BUILDER TARGET
import { type BuildEvent, build, formatReference, isBuildError, parseReference, resolveImage } from 's2oci';

const [source = '.', builder = '', target = ''] = process.argv.slice(2);

function report(event: BuildEvent): void {
	if (event.type === 'stage' && event.status === 'done') console.error(`${event.stage} took ${event.ms} ms`);
	if (event.type === 'warning') console.error(`warning: ${event.message}`);
}

try {
	const base = await resolveImage(builder);
	const labels = { 'com.example.builder': base.manifest.descriptor.digest };
	const result = await build({ source, builder, targets: [target], labels }, { onEvent: report });
	console.log(`${formatReference(parseReference(target))}@${result.digest}`);
} catch (error) {
	if (!isBuildError(error)) throw error;
	console.error(`${error.code}: ${error.message}`);
	process.exitCode = 1;
}
