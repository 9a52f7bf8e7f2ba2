// Writes what the types of the library need of all declarations of src into one file: node declarations.mjs FILE. Names are those of src: two
// that are the same and mean different things are refused.
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const [target] = process.argv.slice(2);
const entry = join(root, 'src/library/index.d.ts');
const files = declarationsOf(join(root, 'src/library/index.ts'));
/** Name -> where it is declared, as `file name`, and its text; in the order of first use. */
const written = new Map();
const packages = new Set();
const exported = [...files.get(entry).exports].map(([name, { type }]) => {
	write(find(entry, name));
	return type ? `type ${name}` : name;
});
const texts = [...written.values()].map(({ text }) => text);
writeFileSync(target, `${[...packages, ...texts, `export { ${exported.join(', ')} };`].join('\n')}\n`);

/** The declarations that the compiler makes of `file` and of all that it imports: path -> what is in it. */
function declarationsOf(file) {
	const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
	const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
	const program = ts.createProgram([file], { ...options, noEmit: false, declaration: true, emitDeclarationOnly: true });
	const found = new Map();
	program.emit(undefined, (path, text) => void found.set(path, readDeclarations(path, text)), undefined, true);
	return found;
}

/** `declared`: name -> statements; `imports` and `exports`: name -> from where. */
function readDeclarations(path, text) {
	const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
	const [declared, imports, exports] = [new Map(), new Map(), new Map()];
	for (const statement of source.statements) {
		const from = statement.moduleSpecifier?.text;
		if (ts.isImportDeclaration(statement)) {
			for (const { name, propertyName } of statement.importClause?.namedBindings?.elements ?? []) {
				imports.set(name.text, { from, name: (propertyName ?? name).text });
			}
		} else if (ts.isExportDeclaration(statement)) {
			for (const { name, propertyName } of statement.exportClause?.elements ?? []) {
				exports.set(name.text, { from, name: (propertyName ?? name).text, type: statement.isTypeOnly });
			}
		} else {
			const names = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
			for (const { name } of names.filter((each) => each.name))
				declared.set(name.text, [...(declared.get(name.text) ?? []), statement]);
		}
	}
	return { source, declared, imports, exports };
}

/** Where `name` of the file `path` is declared; undefined for a name of the language, and for one of a package, which is noted. */
function find(path, name) {
	const { declared, imports, exports } = files.get(path);
	if (declared.has(name)) return { path, name };
	const led = imports.get(name) ?? exports.get(name);
	if (led?.from === undefined) return undefined;
	if (led.from.startsWith('.')) return find(resolve(dirname(path), led.from.replace(/\.js$/, '.d.ts')), led.name);
	packages.add(`import type { ${led.name} } from '${led.from}';`);
	return undefined;
}

/** Writes a declaration once, and what it needs. */
function write({ path, name }) {
	const key = `${path} ${name}`;
	const known = written.get(name);
	if (known?.key === key) return;
	if (known !== undefined) throw new Error(`two declarations have the name ${name}: ${known.key} and ${key}`);
	const { source, declared } = files.get(path);
	const statements = declared.get(name);
	const text = statements.map((statement) => textOf(source, statement)).join('\n');
	written.set(name, { key, text });
	for (const statement of statements) visit(statement, path);
}

function visit(node, path) {
	if (ts.isImportTypeNode(node)) throw new Error(`${path} has an import in a type: ${node.getText()}`);
	if (ts.isIdentifier(node) && !isMember(node)) {
		const found = find(path, node.text);
		if (found !== undefined) write(found);
	}
	ts.forEachChild(node, (child) => visit(child, path));
}

/** Whether an identifier names a member or a parameter, and nothing that is declared elsewhere. */
function isMember({ parent, ...node }) {
	return (
		(ts.isPropertySignature(parent) || ts.isParameter(parent) || ts.isPropertyDeclaration(parent)) &&
		parent.name.pos === node.pos
	);
}

/** A statement with its comment, without what says that it is exported: the end of the file does. */
function textOf(source, statement) {
	const text = source.text.slice(statement.getFullStart(), statement.end).trim();
	return text.replace(/^((?:\/\*\*[\s\S]*?\*\/\s*)?)export (?:declare )?/, (_whole, comment) =>
		ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) ? comment : `${comment}declare `,
	);
}
