import type { PackedLayer } from '../oci/descriptor.js';
import type { ExtractedArtifacts } from '../rootfs/artifacts.js';
import type { Owner } from '../rootfs/owner.js';

/** Where artifacts go. Paths are those of the host, in the scratch directory. */
export interface ArtifactOutput {
	/** The directory that is made; whatever is there already is removed. */
	readonly directory: string;
	/** Whose the artifacts become, in the image's ids. */
	readonly owner: Owner;
	/** The file that becomes a tar.gz of them, with the same bytes for the same artifacts; none when undefined. */
	readonly pack?: string | undefined;
}

/** What artifacts there are. The directory stays only when there are some. */
export interface SavedArtifacts extends ExtractedArtifacts {
	/** Only when it was asked for and there are artifacts. */
	readonly packed?: PackedLayer;
}
