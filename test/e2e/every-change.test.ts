import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { leftovers, requirePrograms, requireRoot } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { startRegistry, type TestRegistry } from '../support/registry.js';
import { arrange, describeRung, EACH_RUNG, foundBy, type TestRung } from '../support/rung.js';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarSymlink } from '../support/tar.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

type Context = Parameters<typeof arrange>[1];

const env = { SOURCE_DATE_EPOCH: '1750000000' };
const LIMIT_MS = 600_000;
const own = { uid: 1001, gid: 0, mtime: 1_700_000_000 };
const file = (name: string, text = 'text\n'): TarMember => tarFile(`base/${name}`, text, own);
const BASE: readonly TarMember[] = [
	tarDirectory('base', own),
	...['append', 'truncate', 'chmod', 'rename', 'delete', 'became-directory', 'back', 'touched', 'left', 'right'].map(
		(name) => file(name),
	),
	...[file('stealthy', 'AAAA'), file('overwritten', 'old\n'), file('linked', 'shared\n')],
	tarHardLink('base/linked-too', 'base/linked', own),
	...[tarSymlink('base/link', 'append', own), tarSymlink('base/dead', 'nowhere', own)],
	...['tree', 'emptied', 'became-file', 'became-link', 'remade', 'moved', 'locked'].flatMap((name) => [
		tarDirectory(`base/${name}`, own),
		file(`${name}/one`),
		tarDirectory(`base/${name}/deeper`, own),
		file(`${name}/deeper/two`),
	]),
];

const CHANGES = String.raw`
cd /base
echo new > new; : > empty; echo more >> append; : > truncate; chmod 4750 chmod; mv rename renamed; rm delete
rm became-directory && mkdir became-directory && echo in > became-directory/file
rm back && mkdir back && echo in > back/file && rm -r back && echo text > back
touch -d @1750000005 touched
mv left swap && mv right left && mv swap right
before=$(stat -c %Y stealthy) && printf BBBB > stealthy && touch -d @$before stealthy
echo new > over && mv over overwritten
echo more >> linked; ln append append-again; ln new new-again; ln -s ../base/new relative; ln -s /etc/passwd absolute
rm link && ln -s new link; rm dead && echo alive > dead
rm tree/one && echo three > tree/deeper/three; rm -r emptied/one emptied/deeper
rm -r became-file && echo file > became-file; rm -r became-link && ln -s tree became-link
rm -r remade && mkdir -p remade/deeper && echo another > remade/deeper/other
mv moved moved-away; chmod 2770 locked; chmod 1777 locked/deeper; chmod 500 tree
mkdir -m 700 private && mkfifo -m 600 private/pipe
yes text | head -c 3000000 > big; truncate -s 5000000 holes; echo end >> holes
touch "$(printf 'line\nbreak')" "$(printf 'bad\377utf\200')" ' spaces ' 'back\slash' ./-dash '*' "quote'\"" "$(printf '\001control')"
deep=; for i in $(seq 90); do deep=$deep/a-directory-name-$i; done; mkdir -p "/base$deep" && echo deep > "/base$deep/file"
touch "$(printf '%0250d' 0)" "$(printf 'n\303\274tzlich')"`;

/** Prints a line for each entry below a directory: its name in hex, what it is and, with $OWNERS, whose. */
const LIST = String.raw`
describe='
	case $(stat -c %F "$1") in
	"regular file" | "regular empty file") what="file $(sha256sum <"$1")" ;;
	"symbolic link") what="link $(readlink "$1")" ;;
	*) what=$(stat -c %F "$1") ;;
	esac
	mode=; [ -h "$1" ] || mode=$(stat -c %a "$1")
	owner=; [ -z "$OWNERS" ] || owner=$(stat -c %u:%g "$1")
	echo "TREE $(printf %s "$1" | od -An -tx1 -v | tr -d " \n") $mode $what $owner"'
list() { find "$1" -print0 | sort -z | xargs -0 -n 1 sh -c "$describe" sh; }`;
/** An overlay in a user namespace shows two inodes for a file of the base and its new link, though it has one. */
const LINKS =
	'[ /base/new -ef /base/new-again ] && echo "TREE linked"; [ /base/append -ef /base/append-again ] && echo linked too; true';
const SHOW = `${LIST}\nlist /base; ${LINKS}`;

/** A line for each of many directories of many files. */
const SUMS = String.raw`
for directory in /base/many/*; do
	echo "TREE $directory $(find $directory -type f -print0 | sort -z | xargs -0 cat | sha256sum) $(find $directory | sort | sha256sum)"
done`;
const MANY = String.raw`
for i in $(seq 100); do
	mkdir -p /base/many/$i
	j=0; while [ $j -lt 1000 ]; do echo $i $j > /base/many/$i/file-$j; j=$((j + 1)); done
done`;

/** So many files take minutes on a disk that others use. */
const OVERLAY_IN_MEMORY = foundBy('root', 'the store on tmpfs', { sandbox: 'runc' });
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

let registry: TestRegistry;
beforeAll(async () => void (registry = await startRegistry()));
afterAll(() => registry.close());

interface Trees {
	readonly diffId: string;
	/** Whether the new link to a file of the base is one in the image. */
	readonly isLinked: boolean;
	/** As assemble saw it at its end. */
	readonly seen: readonly string[];
	/** As umoci unpacks the image. */
	readonly unpacked: readonly string[];
}

/** Builds with an assemble that runs `change` and then `show`, and runs `show` in what umoci makes of the image. */
async function compare(rung: TestRung, context: Context, change: string, show: string): Promise<Trees> {
	requireRoot(context);
	requirePrograms(context, 'umoci', 'chroot');
	const builder = publishImage(registry, 'changes', { files: BASE });
	const { workspace, args, options } = arrange(rung, context);
	const owners = rung.user === 's2oci-plain' ? '' : 'yes';
	const shown = `export PATH=/bin\n${show}`;
	const image = join(workspace.root, 'image');
	const bundle = mkdtempSync(join(MEMORY, 's2oci-bundle-'));
	onTestFinished(() => removeTree(bundle));
	const words = [assembleSource(`${change}\n${shown}`), builder, `oci:${image}:1`];
	const { stderr, result } = await build(workspace, [...words, '--build-env', `OWNERS=${owners}`, ...args], {
		...options,
		env,
		limitMs: 400_000,
	});
	expect(await leftovers(workspace)).toEqual([]);
	execFileSync('umoci', ['unpack', '--image', `${image}:1`, bundle], { stdio: ['ignore', 'ignore', 'inherit'] });
	const unpacked = execFileSync('chroot', [join(bundle, 'rootfs'), '/bin/sh', '-euc', shown], {
		encoding: 'utf8',
		env: { ...process.env, OWNERS: owners },
		maxBuffer: 1 << 26,
	});
	const isLinked = /^linked too$/m.test(unpacked);
	return { diffId: String(result.layer?.diffId), isLinked, seen: linesOf(stderr), unpacked: linesOf(unpacked) };
}

function linesOf(output: string): readonly string[] {
	return output.split('\n').filter((line) => line.startsWith('TREE '));
}

describe('the image is what assemble left', () => {
	const layers = agreement('the layer');

	for (const rung of EACH_RUNG) {
		test(`after every kind of change, on ${describeRung(rung)}`, async (context) => {
			const { diffId, isLinked, seen, unpacked } = await compare(rung, context, CHANGES, SHOW);
			expect(seen.length).toBeGreaterThan(130);
			expect(seen.at(-1)).toBe('TREE linked');
			expect(unpacked).toEqual(seen);
			expect(isLinked).toBe(true);
			layers.add(diffId);
		});
	}
	layers.isTested();

	for (const rung of [OVERLAY_IN_MEMORY]) {
		test(
			`after 100,000 small files were made, on ${describeRung(rung)}`,
			async (context) => {
				const { seen, unpacked } = await compare(rung, context, MANY, SUMS);
				expect(seen).toHaveLength(100);
				expect(unpacked).toEqual(seen);
			},
			LIMIT_MS,
		);
	}
});
