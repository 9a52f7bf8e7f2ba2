import { join } from 'node:path';
import type { LayerStatistics, PackedLayer } from '../protocol/worker-calls.js';
import { KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';
import { type Assembled, assemble } from './assemble/assemble.js';
import type { BuildContext } from './context.js';
import type { OpenedImage } from './images/images.js';
import { type BaseTransfer, startBaseTransfer } from './images/transfer.js';
import { unpackImage } from './images/unpack-image.js';
import { type FetchedSource, type Prepared, prepare } from './prepare/prepare.js';

/** The new layer of a build, and what the image's config is made from. */
export interface MadeLayer {
	readonly prepared: Prepared;
	readonly assembled: Assembled;
	readonly layer: PackedLayer;
	readonly statistics: LayerStatistics;
	/** The layer's blob, in the session's scratch directory. */
	readonly path: string;
}

/** Has the layers of a build's images in the store. Those of the result's base go to the targets on their way, by `base`. */
export async function unpackImages(
	{ images, worker, session, record, signal }: BuildContext,
	base: BaseTransfer,
): Promise<void> {
	const { builder, runtime, sources } = images;
	const context = { record, scratch: session.scratch };
	const unpack = ({ image, opened }: OpenedImage) => {
		const layers = startBaseTransfer(image, opened.source, [], context, signal);
		return unpackImage(image, layers, worker, session, record.emit);
	};
	for (const each of sources) await unpack(each);
	if (runtime !== undefined) await unpack(builder);
	await unpackImage((runtime ?? builder).image, base, worker, session, record.emit);
}

/** Assembles `source`, whose directory is moved away, in the unpacked images and packs what that changed. */
export async function makeLayer(context: BuildContext, source: FetchedSource): Promise<MadeLayer> {
	const { session, record } = context;
	const { info } = source;
	const prepared = await record.stage('prepare', () => prepare(context, source));
	const assembled = await assemble(context, prepared, info);
	const { root, user } = assembled;
	const changed = {
		assembleUser: { uid: user.uid, gid: user.gid },
		excluded: excludedPaths(prepared, assembled),
	};
	const { statistics } = await record.stage('diff', () => root.diff(changed));
	const path = join(session.scratch, 'layer.tar.gz');
	const layer = await record.stage('pack', () => root.pack({ epoch: info.epoch, output: path }));
	return { prepared, assembled, layer, statistics, path };
}

/** What never enters the layer, besides mount points. */
function excludedPaths({ keepsSource }: Prepared, { contract }: Assembled): readonly string[] {
	const below = (name: string) => join(contract.destination, name);
	const source = keepsSource ? [] : [below('src')];
	return [...KERNEL_DIRECTORIES.map((name) => `/${name}`), ...source, below('artifacts'), ...contract.volumes];
}
