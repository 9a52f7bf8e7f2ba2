import { readFileSync } from 'node:fs';
import os from 'node:os';
import express from 'express';

const port = Number(process.env.PORT ?? 8080);
const app = express();

app.disable('x-powered-by');

app.get('/', (_request, response) => {
	response.type('html').send(page());
});

app.get('/healthz', (_request, response) => {
	response.json({ ok: true });
});

const server = app.listen(port, () => {
	console.log(`node-web listens on port ${server.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
	process.once(signal, () => server.close(() => process.exit(0)));
}

function page() {
	const facts = [
		['Node.js', process.version],
		['Express', version('express')],
		['User', `${process.getuid()}:${process.getgid()}`],
		['Directory', process.cwd()],
		['Machine', `${os.type()} ${os.release()} ${os.arch()}`],
	];
	return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Built by s2oci</title></head>
<body>
<h1>Hello from an image that s2oci built</h1>
<p>No Docker, no daemon, no root: source in, image out.</p>
<dl>
${facts.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join('\n')}
</dl>
</body>
</html>
`;
}

function version(name) {
	return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;
}

function escape(text) {
	return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
