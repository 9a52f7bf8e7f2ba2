const POWERS = ['k', 'M', 'G', 'T', 'P', 'E'];

/** A quantity of Kubernetes (resource.Quantity), such as `512Mi`, `500m`, `1.5`, as a number; undefined for what is none. */
export function readQuantity(quantity: string | number): number | undefined {
	const [, amount, unit = ''] = /^(\d{1,18}(?:\.\d{1,9})?)(m|[kMGTPE]|[KMGTPE]i)?$/.exec(String(quantity)) ?? [];
	if (amount === undefined) return undefined;
	if (unit === 'm') return Number(amount) / 1000;
	const power = POWERS.indexOf(unit.replace('i', '').replace('K', 'k')) + 1;
	return Number(amount) * (unit.endsWith('i') ? 1024 : 1000) ** power;
}
