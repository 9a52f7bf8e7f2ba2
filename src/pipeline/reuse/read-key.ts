import { type Digest, digestOf } from '../../oci/digest.js';
import { VOLATILE_LABEL } from '../../s2i/labels.js';
import { parseScriptsUrl, SCRIPT_NAMES, scriptAt } from '../../s2i/scripts.js';
import type { BuildImages } from '../images/images.js';
import { readOptionEnvironment } from '../prepare/build-environment.js';
import { readHostScript } from '../prepare/read-script.js';
import { readSecretValue } from '../prepare/requested-mounts.js';
import type { BuildRequest } from '../request.js';
import { buildKey, isPrivate } from './build-key.js';

/** What names all that a build is made from. */
export interface BuildKey {
	readonly digest: Digest;
	/** What the source holds. */
	readonly source: string;
	/** Whether it follows from values that are to be in no image. */
	readonly isPrivate: boolean;
}

/** Whether no image is looked for. */
export function isAlwaysMade({ output }: BuildRequest): boolean {
	return output.reuse === 'never' || output.checkReproducible || output.saveTempDir || output.targets.length === 0;
}

/** Why no key can be given to a build, whatever its images are; undefined where one may be. */
export function whyNoKeyAsAsked({ assemble, output, scripts }: BuildRequest): string | undefined {
	if (assemble.volumes.length > 0) return '--volume shows what changes by itself';
	if (assemble.injections.length > 0) return '--inject shows what changes by itself';
	if ((assemble.files ?? []).length > 0) return 'a BuildConfig shows files of its Secrets';
	if (assemble.secrets.length > 0 && output.reuse !== 'auto') return 'there are secrets (--reuse auto counts them in)';
	return isOnWeb(scripts.scriptsUrl) ? ON_WEB : undefined;
}

const ON_WEB = 'its scripts are on the web';

function isOnWeb(url: string | undefined): boolean {
	return /^https?:/i.test(url ?? '');
}

/** Why no key can be given to a build; undefined where one can. */
export function whyNoKey(request: BuildRequest, { builder, runtime }: BuildImages): string | undefined {
	const asked = whyNoKeyAsAsked(request);
	if (asked !== undefined) return asked;
	if ([builder.contract.scriptsUrl, runtime?.contract.scriptsUrl].some(isOnWeb)) return ON_WEB;
	const isVolatile = [builder, runtime].some(
		(base) => base?.image.config.value.config?.Labels?.[VOLATILE_LABEL] === 'true',
	);
	return isVolatile ? `its image has the label ${VOLATILE_LABEL}` : undefined;
}

/** The key of the build of a source that holds `source`. Rejects with what reading its inputs throws. */
export async function readKey(
	request: BuildRequest,
	{ builder, runtime, sources }: BuildImages,
	source: string,
): Promise<BuildKey> {
	const { host, variables, scripts, assemble } = request;
	const secrets = assemble.secrets.map(
		async (secret) => [secret.id, digestOf(await readSecretValue(secret, host.env, []))] as const,
	);
	const digest = buildKey(request, {
		builder: builder.image.manifest.descriptor.digest,
		runtime: runtime?.image.manifest.descriptor.digest,
		source,
		sourceImages: request.source.images && sources.map(({ image }) => image.manifest.descriptor.digest),
		environment: await readOptionEnvironment(variables),
		scripts: await digestScripts(scripts.scriptsUrl),
		secrets: Object.fromEntries(await Promise.all(secrets)),
		sourceDateEpoch: host.env['SOURCE_DATE_EPOCH'],
	});
	return { digest, source, isPrivate: isPrivate(request) };
}

/** Of the scripts that `--scripts-url` names on this host. */
async function digestScripts(scriptsUrl: string | undefined): Promise<Readonly<Record<string, Digest>>> {
	const url = scriptsUrl === undefined ? undefined : parseScriptsUrl(scriptsUrl);
	if (url?.kind !== 'file') return {};
	const found = SCRIPT_NAMES.map(async (name) => {
		const address = scriptAt(url, name);
		const script = address.kind === 'http' ? undefined : await readHostScript(address.path);
		return script === undefined ? [] : [[name, digestOf(script.bytes)] as const];
	});
	return Object.fromEntries((await Promise.all(found)).flat());
}
