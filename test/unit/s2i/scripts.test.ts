import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseScriptsUrl, SCRIPT_NAMES, scriptKind, scriptNowhere, scriptPlaces } from '../../../src/s2i/scripts.js';

const texts = (...args: Parameters<typeof scriptPlaces>) => scriptPlaces(...args).map(({ text }) => text);

describe('the places of a script', () => {
	const given = parseScriptsUrl('https://ada:s3cret@example.org/s2i?token=s3cret');

	test('are the scripts URL, the source and the image, in this order', () => {
		expect(texts('assemble', { given, source: true, image: 'image:///usr/libexec/s2i/' })).toEqual([
			'https://example.org/s2i/assemble',
			'.s2i/bin/assemble in the source',
			'.sti/bin/assemble in the source',
			'/usr/libexec/s2i/assemble in the image',
		]);
	});

	test('are those that there are, in the same order, whatever is left out', () => {
		const origins = fc.record({
			given: fc.constantFrom(undefined, given),
			source: fc.boolean(),
			image: fc.constantFrom(undefined, 'image:///s2i'),
		});
		fc.assert(
			fc.property(fc.constantFrom(...SCRIPT_NAMES), origins, (name, some) => {
				const all = texts(name, { given, source: true, image: 'image:///s2i' });
				const here = texts(name, some);
				expect(all.filter((text) => here.includes(text))).toEqual(here);
				const wanted = (some.given === undefined ? 0 : 1) + (some.source ? 2 : 0) + (some.image === undefined ? 0 : 1);
				expect(here).toHaveLength(wanted);
			}),
		);
	});

	test('end with an error when the image names what it may not', () => {
		const [place] = scriptPlaces('run', { given: undefined, source: false, image: 'file:///etc' });
		expect(place).toMatchObject({ kind: 'refused', error: { code: 'IMAGE_INVALID' } });
	});
});

describe('a script that is nowhere', () => {
	test('is an error with every place, and no secret', () => {
		const given = parseScriptsUrl('https://ada:s3cret@example.org/s2i?token=s3cret');
		const places = scriptPlaces('run', { given, source: true, image: undefined });
		expect(scriptNowhere('run', places)).toMatchObject({
			code: 'SCRIPT_MISSING',
			message:
				'there is no run script: looked at https://example.org/s2i/run, .s2i/bin/run in the source, .sti/bin/run in the source',
			hint: 'The image has no label io.openshift.s2i.scripts-url: is it an S2I builder image? Else add .s2i/bin/run to the source.',
		});
	});

	test('has a hint that fits what there is', () => {
		const hint = (source: boolean, image: string | undefined) =>
			scriptNowhere('usage', scriptPlaces('usage', { given: undefined, source, image })).hint;
		expect(hint(true, 'image:///s2i')).toBe('Use an image that has the script, or add .s2i/bin/usage to the source.');
		expect(hint(false, 'image:///s2i')).toBe(
			'Use an image that has the script, or say with --scripts-url where it is.',
		);
		expect(hint(false, undefined)).toContain('is it an S2I builder image?');
	});
});

describe('the beginning of a script', () => {
	test.each([
		['#!/bin/sh\necho "<html>"\r\n', 'interpreted'],
		['#!/bin/sh', 'interpreted'],
		['#!/bin/sh\r\necho\r\n', 'windows'],
		['#!/usr/bin/env bash\r', 'windows'],
		['\u007fELF\u0002\u0001\u0001\0\0', 'program'],
		['echo hello\n', 'text'],
		['', 'text'],
		['<!DOCTYPE html>\n<title>Login</title>', 'html'],
		['\n  <html lang="en">', 'html'],
		['\ufeff<?xml version="1.0"?>', 'html'],
		['<input.txt sort\n', 'text'],
	])('%j makes it %s', (text, kind) => {
		expect(scriptKind(Buffer.from(text))).toBe(kind);
	});
});
