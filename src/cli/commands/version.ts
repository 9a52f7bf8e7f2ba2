import { COMMIT } from '../../commit.js';
import { formatPlatform, hostPlatform } from '../../oci/platform.js';
import { VERSION } from '../../version.js';
import { flag } from '../options.js';
import type { Definition } from '../parse-command.js';
import type { ProgramName } from '../words.js';

/** The release of S2I whose command lines are understood; scripts look for it behind `s2i v`. */
const S2I_RELEASE = '1.6.0';

const versionArguments = { json: flag('json', 'print one JSON document') };

/** What `--json` prints. */
interface BuiltVersion {
	readonly version: string;
	/** Of the build; `unknown` where git did not know it. */
	readonly commit: string;
	/** The version of the Node.js that runs it. */
	readonly node: string;
	/** As images have it, such as `linux/amd64`. */
	readonly platform: string;
}

/** `s2oci version`. */
export const command: Definition<typeof versionArguments> = {
	name: 'version',
	description: 'Print the version, the commit that it was built from, the Node.js that runs it, and the platform.',
	examples: [
		{ description: 'For a report', command: 's2oci version' },
		{ description: 'The commit alone', command: 's2oci version --json | jq -r .commit' },
	],
	args: versionArguments,
	passesOver: true,
	/** Prints the version; under the names of S2I, without `--json`, the one line that its scripts look for. */
	perform: ({ value }, { io, program }) => {
		const built: BuiltVersion = {
			version: VERSION,
			commit: COMMIT,
			node: process.versions.node,
			platform: formatPlatform(hostPlatform(process.arch)),
		};
		if (value.json) io.stdout.write(`${JSON.stringify(built, undefined, '\t')}\n`);
		else io.stdout.write(`${versionLine(program)}${program === 's2oci' ? renderBuilt(built) : ''}`);
		return Promise.resolve(0);
	},
};

function renderBuilt({ commit, node, platform }: BuiltVersion): string {
	return `commit ${commit}\nNode.js ${node}\nplatform ${platform}\n`;
}

/** The version under the name `program`, with a line break. S2I's form is `s2i vN.N.N`, with more behind a dash for what is no release. */
export function versionLine(program: ProgramName): string {
	return program === 's2oci' ? `s2oci ${VERSION}\n` : `s2i v${S2I_RELEASE}-s2oci-${VERSION}\n`;
}
