import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a registry does wrong, or differently. Everything is off by default. */
export interface Faults {
	/** Demand a bearer token from a token server on another port; anonymous users get none unless `anonymous`. */
	readonly bearer?: { readonly username: string; readonly password: string; readonly anonymous?: boolean };
	/** The JSON field and lifetime of tokens. */
	readonly tokenAnswer?: { readonly field: 'token' | 'access_token'; readonly expiresIn?: number | string };
	/** The token server refuses every request that names a service, and the challenge names none. */
	readonly noService?: boolean;
	/** What the challenge names as scope. */
	readonly scope?: string;
	/** The token server takes POST only (OAuth2), with a password. */
	readonly postOnly?: boolean;
	/** Tokens end after so many uses, whatever was said of their lifetime. */
	readonly tokenUses?: number;
	/** Accept this refresh token by OAuth2 POST. */
	readonly identityToken?: string;
	/** Demand Basic authorization; with `bearer`, either is taken. */
	readonly basic?: { readonly username: string; password: string };
	/** The order of the challenges where there are two. */
	readonly basicFirst?: boolean;
	/** The token server answers everything with this status. */
	readonly tokenStatus?: number;
	/** The token server refuses whoever asks for more than one repository (GitLab, Docker Hub with an invalid name). */
	readonly oneScope?: boolean;
	/** Leave out WWW-Authenticate except on /v2/. */
	readonly silentChallenge?: boolean;
	/** A realm to send instead of the real one. */
	readonly realm?: string;
	/** Answer the next n requests with this status (and Retry-After in seconds). */
	readonly failures?: {
		count: number;
		/** So many requests that would fail are answered well before. */
		spared?: number;
		readonly status: number;
		readonly retryAfter?: string;
		readonly path?: RegExp;
		readonly method?: string;
	};
	/** Cut the connection after this many bytes of a blob, the next n times. */
	readonly cut?: { count: number; readonly after: number };
	/** Send a byte of a blob or manifest each so many ms, after so many at once. */
	readonly drip?: { readonly after: number; readonly ms: number };
	/** Sent as Warning headers with every answer of the registry, and `storageWarning` with those of the storage. */
	readonly warnings?: readonly string[];
	readonly storageWarning?: string;
	readonly wrongDigest?: boolean;
	readonly wrongLength?: boolean;
	/** Compresses every answer that has content, whatever was asked for, or only says so (`claimed`). */
	readonly gzip?: 'real' | 'claimed';
	/** Answer each request this many ms late. */
	readonly slow?: number;
	/** Redirect blob GETs to a storage server on another port. */
	readonly redirectBlobs?: boolean;
	/** Redirect blob GETs to this address. */
	readonly redirectTo?: string;
	/** `unkept` says 201, names nothing and mounts nothing; a number is the status of the answer. */
	readonly mount?: 'accept' | 'refuse' | 'unkept' | 'hang up' | number;
	/** Sent with each new session. */
	readonly chunkMinimum?: number;
	/** Answers a PUT that has content with this status, or closes the connection. */
	readonly putContent?: number | 'hang up';
	/** Answers a PUT that has no content with this status. */
	readonly putEmpty?: number;
	readonly noPatch?: boolean;
	/** Each PATCH moves the session to another address. */
	readonly rotate?: boolean;
	/** Answers the PUT of a blob well, and does not keep it unless PATCH brought its content. */
	readonly forgetBlobs?: boolean;
	/** The status of every HEAD of a blob, or where it is redirected to; '' is the storage. */
	readonly headBlob?: number | string;
	/** HEAD of a blob is answered without its length. */
	readonly noLength?: boolean;
	/** The storage answers HEAD with this status. */
	readonly storageHead?: number;
	/** The status that PATCH is answered with. */
	readonly patchStatus?: number;
	/** The status of a body that is larger than `bodyLimit`; 413 if undefined. */
	readonly limitStatus?: number;
	/**
	 * The upload Location: 'relative', 'foreign' (a storage server on another port), 'https' (which this host does not speak), 'host'
	 * (no scheme), 'scheme-less', 'none' (Docker-Upload-UUID only), or exactly this; absolute by default.
	 */
	readonly location?: string;
	/** Answer monolithic PUTs larger than this with 413. */
	readonly bodyLimit?: number;
	readonly blobPutStatus?: number;
	/** Tags cannot be pushed twice. */
	readonly immutableTags?: boolean;
	/** How many tags are on a page of their list, and where its Link header leads in place of the next page. */
	readonly tagsPage?: number;
	readonly tagsLink?: string;
	/** What is answered in place of a list of tags. */
	readonly tagsBody?: string;
	/** Manifests cannot be deleted. */
	readonly noDelete?: boolean;
	/** Refuse manifests that have an artifactType. */
	readonly noArtifacts?: boolean;
	readonly noHead?: boolean;
	/** Send a manifest of 100 MB of zeros. */
	readonly hugeManifest?: boolean;
	readonly ignoreRange?: boolean;
	/** Replace the bytes of manifests on their way out. */
	readonly tamper?: (bytes: Uint8Array) => Uint8Array;
}

export interface SeenRequest {
	readonly server: 'registry' | 'token' | 'storage';
	readonly method: string;
	readonly path: string;
	readonly authorization?: string;
	readonly contentRange?: string;
	readonly accept?: string;
	readonly body?: string;
}

export interface StoredManifest {
	readonly mediaType: string;
	readonly bytes: Uint8Array;
}

export interface TestRegistry {
	readonly host: string;
	/** By `repository@digest`. */
	readonly blobs: Map<string, Uint8Array>;
	/** By `repository:tag` and `repository@digest`. */
	readonly manifests: Map<string, StoredManifest>;
	readonly requests: SeenRequest[];
	close(): Promise<void>;
}

/** Sends a response. */
export type Reply = (status: number, headers?: Record<string, string>, body?: Uint8Array | string) => void;
/** A request that was received completely. */
export interface Call {
	readonly request: IncomingMessage;
	readonly response: ServerResponse;
	readonly url: URL;
	readonly body: Buffer;
	readonly reply: Reply;
}
/** What the servers of one test registry share. */
export interface State extends Omit<TestRegistry, 'close' | 'host'> {
	readonly faults: Faults;
	readonly uploads: Map<string, Buffer>;
	/** How often each was used. */
	readonly tokens: Map<string, number>;
	host: string;
	tokenHost: string;
	storageHost: string;
}
