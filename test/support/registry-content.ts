import { createHash, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Call, State } from './registry-state.js';

/** Manifests by tag or digest. */
export function answerManifest(state: State, call: Call, repository: string, reference: string): void {
	const key = `${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
	if (call.request.method === 'PUT') {
		storeManifest(state, call, repository, key);
		return;
	}
	if (call.request.method === 'DELETE') {
		deleteManifest(state, call, key);
		return;
	}
	const { faults, manifests } = state;
	const manifest = manifests.get(key);
	if (call.request.method === 'HEAD' && faults.noHead === true) call.reply(405);
	else if (faults.hugeManifest === true) sendZeros(call.response, 100_000_000);
	else if (manifest === undefined) call.reply(404, {}, errorBody('MANIFEST_UNKNOWN', 'manifest unknown'));
	else {
		const bytes = faults.tamper?.(manifest.bytes) ?? manifest.bytes;
		const headers = { 'content-type': manifest.mediaType, 'docker-content-digest': digestOf(manifest.bytes) };
		call.reply(200, { ...headers, 'content-length': String(bytes.length) }, bytes);
	}
}

/** Tags in the order in which they came, page by page (distribution-spec v1.1 "Listing Tags"). */
export function answerTags({ faults, manifests }: State, call: Call, repository: string): void {
	const tags = [...manifests.keys()]
		.filter((key) => key.startsWith(`${repository}:`))
		.map((key) => key.slice(repository.length + 1));
	if (tags.length === 0) {
		call.reply(404, {}, errorBody('NAME_UNKNOWN', 'repository name not known to registry'));
		return;
	}
	const from = tags.indexOf(call.url.searchParams.get('last') ?? '') + 1;
	const page = tags.slice(from, from + (faults.tagsPage ?? tags.length));
	const next = `</v2/${repository}/tags/list?last=${page.at(-1) ?? ''}&n=1000>; rel="next"`;
	const link = faults.tagsLink ?? (from + page.length < tags.length ? next : undefined);
	const body = faults.tagsBody ?? JSON.stringify({ name: repository, tags: page });
	call.reply(200, { 'content-type': 'application/json', ...(link !== undefined && { link }) }, body);
}

/** With every tag that names it, as distribution does. */
function deleteManifest({ faults, manifests }: State, call: Call, key: string): void {
	const [repository = '', digest = ''] = key.split('@');
	if (faults.noDelete === true) call.reply(405, {}, errorBody('UNSUPPORTED', 'The operation is unsupported.'));
	else if (!manifests.has(key)) call.reply(404, {}, errorBody('MANIFEST_UNKNOWN', 'manifest unknown'));
	else {
		for (const [name, { bytes }] of manifests) {
			const isTag = name.startsWith(`${repository}:`) || name === key;
			if (isTag && digestOf(bytes) === digest) manifests.delete(name);
		}
		call.reply(202);
	}
}

function storeManifest({ faults, manifests }: State, call: Call, repository: string, key: string): void {
	if (faults.immutableTags === true && manifests.has(key)) {
		call.reply(400, {}, errorBody('TAG_INVALID', 'The image tag already exists and is immutable'));
		return;
	}
	if (faults.noArtifacts === true && call.body.includes('"artifactType"')) {
		call.reply(400, {}, errorBody('MANIFEST_INVALID', 'manifest invalid'));
		return;
	}
	const stored = { mediaType: call.request.headers['content-type'] ?? '', bytes: call.body };
	manifests.set(key, stored);
	manifests.set(`${repository}@${digestOf(call.body)}`, stored);
	call.reply(201, { 'docker-content-digest': digestOf(call.body) });
}

/** The storage server: blobs and uploads on another port. */
export function answerStorage(state: State, call: Call): void {
	const [, repository, digest] = /^\/blob\/(.+)\/([^/]+)$/.exec(call.url.pathname) ?? [];
	const bytes = state.blobs.get(`${repository}@${digest}`);
	const { storageHead } = state.faults;
	if (call.request.method === 'HEAD' && storageHead !== undefined) call.reply(storageHead);
	else if (bytes !== undefined) sendBlob(state, call, bytes);
	else if (call.url.pathname.startsWith('/upload/')) {
		const [, , name = '', id = ''] = call.url.pathname.split('/');
		continueUpload(state, call, decodeURIComponent(name), id);
	} else call.reply(404);
}

/** Blobs by digest. */
export function answerBlob(state: State, call: Call, repository: string, digest: string): void {
	const { faults } = state;
	const bytes = state.blobs.get(`${repository}@${digest}`);
	if (call.request.method === 'HEAD' && answerHead(state, call, repository, digest)) return;
	if (bytes === undefined) call.reply(404, {}, errorBody('BLOB_UNKNOWN', 'blob unknown to registry'));
	else if (call.request.method === 'GET' && faults.redirectTo !== undefined)
		call.reply(307, { location: faults.redirectTo });
	else if (call.request.method === 'GET' && faults.redirectBlobs === true) {
		call.reply(307, { location: `http://${state.storageHost}/blob/${repository}/${digest}?X-Amz-Signature=canary` });
	} else sendBlob(state, call, bytes);
}

function answerHead({ faults, storageHost }: State, call: Call, repository: string, digest: string): boolean {
	const { headBlob } = faults;
	if (faults.noLength === true) {
		call.response.writeHead(200).end();
		return true;
	}
	if (headBlob === undefined) return false;
	if (typeof headBlob === 'number') call.reply(headBlob);
	else call.reply(307, { location: headBlob === '' ? `http://${storageHost}/blob/${repository}/${digest}` : headBlob });
	return true;
}

function sendBlob({ faults }: State, { request, response, reply }: Call, stored: Uint8Array): void {
	const bytes = faults.wrongDigest === true ? Buffer.alloc(stored.length, 'x') : stored;
	const from = faults.ignoreRange === true ? 0 : Number(/^bytes=([0-9]+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
	const part = bytes.subarray(from);
	const status = from > 0 ? 206 : 200;
	const range = from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
	if (faults.cut !== undefined && faults.cut.count > 0 && request.method === 'GET') {
		faults.cut.count -= 1;
		response.writeHead(status, { ...range, 'content-length': String(part.length) });
		response.write(part.subarray(0, faults.cut.after), () => setTimeout(() => response.destroy(), 20));
		return;
	}
	if (faults.wrongLength === true) {
		response.writeHead(200, { 'transfer-encoding': 'chunked' });
		response.end(Buffer.concat([part, Buffer.from('more')]));
		return;
	}
	reply(status, range, part);
}

/** Upload sessions and mounts. */
export function answerUpload(state: State, call: Call, repository: string, id: string): void {
	if (call.request.method !== 'POST') {
		continueUpload(state, call, repository, id);
		return;
	}
	const mounted = call.url.searchParams.get('mount');
	if (mounted !== null && answerMount(state, call, repository, mounted)) return;
	const session = randomUUID();
	state.uploads.set(session, Buffer.alloc(0));
	call.reply(202, { ...locationHeaders(state, repository, session), ...minimumOf(state) });
}

function minimumOf({ faults }: State): Record<string, string> {
	return faults.chunkMinimum === undefined ? {} : { 'oci-chunk-min-length': String(faults.chunkMinimum) };
}

function answerMount({ faults, blobs }: State, call: Call, repository: string, digest: string): boolean {
	const bytes = blobs.get(`${call.url.searchParams.get('from') ?? ''}@${digest}`);
	if (faults.mount === 'hang up') {
		call.response.destroy();
		return true;
	}
	if (typeof faults.mount === 'number' || faults.mount === 'unkept') {
		call.reply(
			faults.mount === 'unkept' ? 201 : faults.mount,
			{},
			errorBody('DENIED', 'requested access to the resource is denied'),
		);
		return true;
	}
	if (faults.mount !== 'accept' || bytes === undefined) return false;
	blobs.set(`${repository}@${digest}`, bytes);
	call.reply(201, { location: `/v2/${repository}/blobs/${digest}` });
	return true;
}

function continueUpload(state: State, call: Call, repository: string, id: string): void {
	const { faults, uploads } = state;
	const before = uploads.get(id);
	if (before === undefined) {
		call.reply(404, {}, errorBody('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry'));
		return;
	}
	if (call.request.method === 'DELETE') {
		uploads.delete(id);
		call.reply(204);
		return;
	}
	if (faults.bodyLimit !== undefined && call.body.length > faults.bodyLimit) {
		call.reply(faults.limitStatus ?? 413, {}, '<html>413 Request Entity Too Large</html>');
		return;
	}
	if (refuses(state, call)) return;
	const content = Buffer.concat([before, call.body]);
	if (call.request.method === 'PATCH') {
		const next = faults.rotate === true ? randomUUID() : id;
		uploads.delete(id);
		uploads.set(next, content);
		call.reply(faults.patchStatus ?? 202, {
			...locationHeaders(state, repository, next),
			range: `0-${content.length - 1}`,
		});
		return;
	}
	uploads.delete(id);
	closeUpload(state, call, repository, content);
}

function closeUpload({ faults, blobs }: State, call: Call, repository: string, content: Buffer): void {
	const digest = call.url.searchParams.get('digest') ?? '';
	const isSame = faults.location === 'none' || call.url.searchParams.get('_state') === 'a+b/c=';
	if (digestOf(content) !== digest || !isSame) {
		call.reply(400, {}, errorBody('DIGEST_INVALID', 'provided digest did not match uploaded content'));
		return;
	}
	if (faults.forgetBlobs !== true || call.body.length === 0) blobs.set(`${repository}@${digest}`, content);
	call.reply(faults.blobPutStatus ?? 201);
}

function refuses({ faults }: State, { request, response, body, reply }: Call): boolean {
	const put = body.length > 0 ? faults.putContent : faults.putEmpty;
	if (request.method === 'PUT' && put !== undefined) {
		if (put === 'hang up') response.destroy();
		else reply(put, {}, errorBody('BLOB_UPLOAD_UNKNOWN', 'blob upload unknown'));
	} else if (request.method === 'PATCH' && faults.noPatch === true) reply(405);
	else if (request.method === 'PATCH' && body.length < (faults.chunkMinimum ?? 0)) reply(416);
	else return false;
	return true;
}

function locationHeaders(state: State, repository: string, session: string): Record<string, string> {
	if (state.faults.location === 'none') return { 'docker-upload-uuid': session };
	return { location: locationOf(state, repository, session) };
}

function locationOf({ faults, host, storageHost }: State, repository: string, session: string): string {
	const path = `/v2/${repository}/blobs/uploads/${session}?_state=a%2Bb%2Fc%3D`;
	if (faults.location === 'relative') return path;
	if (faults.location === 'foreign') {
		return `http://${storageHost}/upload/${encodeURIComponent(repository)}/${session}?_state=a%2Bb%2Fc%3D`;
	}
	const written = { https: `https://${host}${path}`, host: `${host}${path}`, 'scheme-less': `//${host}${path}` };
	if (faults.location !== undefined && faults.location in written)
		return written[faults.location as keyof typeof written];
	return faults.location ?? `http://${host}${path}`;
}

function sendZeros(response: ServerResponse, size: number): void {
	const zeros = Buffer.alloc(1024 * 1024);
	let left = size;
	const more = (): void => {
		while (left > 0) {
			left -= zeros.length;
			if (!response.write(zeros)) {
				response.once('drain', more);
				return;
			}
		}
		response.end();
	};
	response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
	more();
}

function digestOf(bytes: Uint8Array): string {
	return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An error document of the distribution spec. */
export function errorBody(code: string, message: string): string {
	return JSON.stringify({ errors: [{ code, message }] });
}
