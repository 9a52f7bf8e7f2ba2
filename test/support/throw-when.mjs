// Loaded before the program (NODE_OPTIONS=--import): throws from a timer, or rejects a promise, once THROW_WHEN is printed on stderr.
const { THROW_WHEN = '', THROW_KIND = 'throw', THROW_AFTER = '20' } = process.env;
const write = process.stderr.write.bind(process.stderr);
const kinds = {
	throw: () => {
		throw new Error('canary https://user:s3cret@host/?token=s3cret');
	},
	reject: () => void Promise.reject(new Error('canary https://user:s3cret@host/?token=s3cret')),
	text: () => {
		throw 'canary';
	},
	nothing: () => void Promise.reject(),
	event: () => process.emit('error', new Error('canary')),
	many: () => {
		for (let count = 0; count < 9; count += 1) void Promise.reject(new Error(`canary ${count}`));
	},
};
let done = false;

process.stderr.write = (chunk, ...rest) => {
	if (!done && String(chunk).includes(THROW_WHEN)) {
		done = true;
		setTimeout(kinds[THROW_KIND], Number(THROW_AFTER));
	}
	return write(chunk, ...rest);
};
