/** One file of the skeleton: its path below the destination, its mode (0755 or 0644) and its text. */
export interface SkeletonFile {
	readonly path: string;
	readonly mode: number;
	readonly text: string;
}
