import type { BuildEvent, Stage, Transfer } from '../pipeline/events.js';

/** How far all blobs of one kind of transfer are together. Bytes, and bytes a second since the transfer began. */
export interface TransferState {
	readonly transfer: Transfer;
	readonly done: number;
	/** Undefined as long as one of the sizes is unknown. */
	readonly total: number | undefined;
	readonly rate: number;
	readonly active: boolean;
}

interface Item {
	done: number;
	total: number | undefined;
	finished: boolean;
}

/** Adds up the `blob` and `progress` events of a build. */
export interface Transfers {
	readonly note: (event: BuildEvent) => void;
	readonly read: (transfer: Transfer) => TransferState | undefined;
	/** What moves bytes right now, in the order of a build. */
	readonly active: () => readonly TransferState[];
}

/** Unpacking and packing do not know their size beforehand: they end with their stage. */
const ENDED_BY: Partial<Record<Stage, Transfer>> = { pull: 'unpack', pack: 'pack' };
const ORDER: readonly Transfer[] = ['pull', 'unpack', 'pack', 'push'];

/** Transfers that have not begun; `now` is a clock in milliseconds. */
export function openTransfers(now: () => number): Transfers {
	const kinds = new Map<Transfer, { readonly since: number; readonly items: Map<string, Item> }>();
	const itemOf = (transfer: Transfer, digest = ''): Item => {
		const kind = kinds.get(transfer) ?? { since: now(), items: new Map<string, Item>() };
		kinds.set(transfer, kind);
		const item = kind.items.get(digest) ?? { done: 0, total: undefined, finished: false };
		kind.items.set(digest, item);
		return item;
	};
	const read = (transfer: Transfer): TransferState | undefined => {
		const kind = kinds.get(transfer);
		if (kind === undefined) return undefined;
		return { transfer, ...sum([...kind.items.values()], now() - kind.since) };
	};
	return {
		note: (event) => {
			if (event.type === 'blob') noteBlob(event, itemOf);
			if (event.type === 'stage' && event.status === 'done') {
				const ended = ENDED_BY[event.stage];
				const items = ended === undefined ? undefined : kinds.get(ended)?.items;
				for (const item of items?.values() ?? []) item.finished = true;
			}
			if (event.type === 'progress') {
				const item = itemOf(event.transfer, event.digest);
				item.done = event.done;
				item.total = event.total ?? item.total;
				item.finished = item.total !== undefined && item.done >= item.total;
			}
		},
		read,
		active: () => ORDER.flatMap((transfer) => read(transfer) ?? []).filter((state) => state.active),
	};
}

function noteBlob(
	event: Extract<BuildEvent, { readonly type: 'blob' }>,
	itemOf: (transfer: Transfer, digest: string) => Item,
): void {
	if (event.status === 'present' || event.status === 'mounted') return;
	const item = itemOf(event.transfer, event.digest);
	item.total ??= event.size;
	item.finished = event.status === 'done';
	if (item.finished) item.done = item.total;
}

function sum(items: readonly Item[], ms: number): Omit<TransferState, 'transfer'> {
	const done = items.reduce((bytes, item) => bytes + item.done, 0);
	const known = items.every((item) => item.total !== undefined);
	return {
		done,
		total: known ? items.reduce((bytes, item) => bytes + (item.total ?? 0), 0) : undefined,
		rate: ms > 0 ? (done * 1000) / ms : 0,
		active: items.some((item) => !item.finished),
	};
}
