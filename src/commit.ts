/** Put in place of its name when the programs are bundled (`scripts/bundle.mjs`); nothing has it before. */
declare const BUILT_COMMIT: string | undefined;

/** The git commit that this build was made of, with `-dirty` when there was more; `unknown` where git did not know it. */
export const COMMIT: string = typeof BUILT_COMMIT === 'string' ? BUILT_COMMIT : 'unknown';
