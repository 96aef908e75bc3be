import { describe, expect, it } from 'vitest';
import type { FieldTable, PointDefinition, PointType } from '../../src/overlay/index.js';
import { assertSamePoint, SpaceError } from '../../src/overlay/index.js';

function point(type: PointType, table: FieldTable = {}): PointDefinition {
  return { name: 'bids', type, arguments: table };
}

describe('agreement on a point', () => {
  it('is there for equal values in any order and writing', () => {
    const current = point('topic', { a: 1n, b: { c: new Uint8Array([1]) } });
    const wanted = point('topic', { b: { c: Buffer.from([1]) }, a: 1 });
    expect(() => assertSamePoint('market', current, wanted)).not.toThrow();
  });

  it.each<[PointDefinition, PointDefinition, string]>([
    [
      point('topic'),
      point('direct'),
      "'exchangetype' for exchange point 'bids' in space 'market': received 'direct' but current is 'topic'",
    ],
    [
      point('topic', { a: 1 }),
      point('topic', { a: 'x' }),
      "'a' for exchange point 'bids' in space 'market': received 'x' but current is '1'",
    ],
    [
      point('topic', { a: [1] }),
      point('topic'),
      `'a' for exchange point 'bids' in space 'market': received none but current is '["list",1]'`,
    ],
    [
      point('topic'),
      point('topic', { a: null }),
      "'a' for exchange point 'bids' in space 'market': received 'null' but current is none",
    ],
  ])('is missing between %o and %o', (current, wanted, text) => {
    expect(() => assertSamePoint('market', current, wanted)).toThrow(
      new SpaceError('conflict', `inequivalent arg ${text}`),
    );
  });

  it('cuts long values in its text', () => {
    const check = (): void => assertSamePoint('s', point('topic'), point('topic', { a: 'x'.repeat(1_000) }));
    expect(check).toThrow(/received 'x{60}…' but current is none/);
  });
});
