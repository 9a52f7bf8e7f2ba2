/** What the worker sees of what runs in its sandbox. All of it is what an image says of itself, so it is hostile. */
export interface Seen {
	readonly processes: readonly SeenProcess[];
	readonly listening: readonly Listening[];
}

/** A process in the sandbox. */
export interface SeenProcess {
	/** In the worker's pid namespace. */
	readonly pid: number;
	/** Whether it is the one that `execute` started, not one of its children. */
	readonly first: boolean;
	/** Effective user, in the image's ids; undefined where all users are one. */
	readonly uid: number | undefined;
	/** Its arguments, or its name when it has none; cut. */
	readonly command: string;
	/** Bytes of memory that it has at the moment. */
	readonly memory: number;
}

/** A TCP port on which something waits for connections. */
export interface Listening {
	readonly port: number;
	/** `any` address, those of the loopback, or another one. */
	readonly address: 'any' | 'loopback' | 'other';
	readonly family: 4 | 6;
}

/** A request for `GET path`. */
export interface Question {
	readonly port: number;
	readonly family: Listening['family'];
	readonly path: string;
}

/** What came of a {@link Question}. */
export type Answer =
	| {
			readonly type: 'response';
			readonly status: number;
			/** Names in lower case, as they came. */
			readonly headers: readonly (readonly [name: string, value: string])[];
			/** The first bytes, base64. */
			readonly body: string;
			/** Whether there was more. */
			readonly cut: boolean;
	  }
	/** No HTTP came, for the reason `error`. */
	| { readonly type: 'none'; readonly error: string };

/** How many changed paths are listed at most. */
export const MAX_CHANGES = 2000;

/** A path that a process changed. */
export interface ChangedPath {
	/** Absolute, printable. */
	readonly path: string;
	readonly change: 'added' | 'changed' | 'removed';
}

/** What the worker can be asked while a program runs in its sandbox. */
export interface ObserveCalls {
	/** What runs in the sandbox at this moment; nothing before and after `execute`. */
	readonly look: { readonly request: object; readonly response: Seen };
	/** Asks servers in the sandbox over HTTP, one after the other, from inside of its network namespace where it has one. */
	readonly ask: {
		readonly request: { readonly questions: readonly Question[] };
		/** In the order of the questions. */
		readonly response: { readonly answers: readonly Answer[] };
	};
	/** Sends a signal to the process that `execute` runs; does nothing when it has ended. */
	readonly signal: {
		readonly request: { readonly signal: 'SIGTERM' | 'SIGKILL' };
		readonly response: object;
	};
}
