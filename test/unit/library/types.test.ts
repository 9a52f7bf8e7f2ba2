import { describe, expectTypeOf, test } from 'vitest';
import type {
	BuildEvent,
	BuildOptions,
	BuildResult,
	Digest,
	Image,
	ImageReference,
} from '../../../src/library/index.js';
import * as library from '../../../src/library/index.js';

describe('the types of the library', () => {
	test('a build takes options and gives a result', () => {
		expectTypeOf(library.build).parameter(0).toEqualTypeOf<BuildOptions>();
		expectTypeOf(library.build).returns.resolves.toEqualTypeOf<BuildResult>();
		expectTypeOf<{ source: '.'; builder: 'b' }>().toExtend<BuildOptions>();
		expectTypeOf<{ source: { location: '.'; ref: 'main' }; builder: ImageReference }>().not.toExtend<BuildOptions>();
		expectTypeOf<{ source: '.' }>().not.toExtend<BuildOptions>();
		expectTypeOf<{ source: '.'; builder: 'b'; isolation: 'docker' }>().not.toExtend<BuildOptions>();
	});

	test('events are told apart by their type', () => {
		expectTypeOf<Extract<BuildEvent, { type: 'output' }>['chunk']>().toEqualTypeOf<Uint8Array>();
		expectTypeOf<Extract<BuildEvent, { type: 'stage'; status: 'done' }>['ms']>().toEqualTypeOf<number>();
	});

	test('a string is no digest until it was parsed', () => {
		expectTypeOf<string>().not.toExtend<Digest>();
		expectTypeOf(library.parseDigest).returns.toEqualTypeOf<Digest>();
		expectTypeOf<BuildResult['digest']>().toEqualTypeOf<Digest | undefined>();
	});

	test('images and references are values that cannot be changed', () => {
		expectTypeOf(library.resolveImage).returns.resolves.toEqualTypeOf<Image>();
		expectTypeOf<Image['layers']>().toExtend<readonly object[]>();
		expectTypeOf<Image['layers']>().not.toExtend<object[]>();
		expectTypeOf(library.parseReference).returns.toEqualTypeOf<ImageReference>();
		expectTypeOf(library.formatReference).parameter(0).toEqualTypeOf<ImageReference>();
	});

	test('what is caught is a BuildError only when it was asked', () => {
		const caught: unknown = undefined;
		if (library.isBuildError(caught)) expectTypeOf(caught.code).toEqualTypeOf<library.ErrorCode>();
	});
});
