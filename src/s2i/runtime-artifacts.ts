import { BuildError, isBuildError } from '../errors.js';
import { ASSEMBLE_INPUT_FILES } from './contract.js';
import { type PathPair, parseArtifacts } from './volumes.js';

const MAX_ARTIFACTS = 1000;

/**
 * The artifacts that the label `io.openshift.s2i.assemble-input-files` of a runtime image names, with the grammar of
 * `--runtime-artifact`: `SOURCE[:DIRECTORY]` separated by `;`, `''` being WORKDIR, no globs. Throws IMAGE_INVALID.
 */
export function parseInputFiles(text: string): readonly PathPair[] {
	const parts = text.split(';').filter((part) => part.trim() !== '');
	if (parts.length > MAX_ARTIFACTS) throw labelInvalid(`it names more than ${MAX_ARTIFACTS} artifacts`);
	return parts.flatMap((part) => {
		try {
			return parseArtifacts(part.trim());
		} catch (error) {
			throw isBuildError(error, 'USAGE') ? labelInvalid(error.message.replace(/^--[a-z-]+: /, ''), error) : error;
		}
	});
}

/**
 * What a build copies from the builder to the runtime image: what the command line names, else what `label`, its parts, does. Throws
 * IMAGE_INVALID for a label that makes no sense, USAGE when there is nothing to copy.
 */
export function chooseArtifacts(option: readonly PathPair[], label: readonly string[]): readonly PathPair[] {
	const artifacts = option.length > 0 ? option : parseInputFiles(label.join(';'));
	if (artifacts.length > 0) return artifacts;
	throw new BuildError('USAGE', 'nothing says which files of the builder go into the runtime image', {
		hint: `Name them with --runtime-artifact SOURCE[:DIRECTORY], or use a runtime image with the label ${ASSEMBLE_INPUT_FILES}.`,
	});
}

function labelInvalid(problem: string, cause?: unknown): BuildError {
	return new BuildError(
		'IMAGE_INVALID',
		`the label ${ASSEMBLE_INPUT_FILES} of the runtime image is not valid: ${problem}`,
		{
			hint: 'Name the artifacts with --runtime-artifact SOURCE[:DIRECTORY] instead, or ask for the label to be fixed.',
			cause,
		},
	);
}
