import { describe, expect, it } from 'vitest';
import { parseJoinSettings, parseSpaceSettings } from '../../src/dht-space/settings.js';
import type { FieldTable } from '../../src/overlay/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import type { Identity } from './fixtures.js';
import { identities } from './fixtures.js';

const SEED = '/ip4/127.0.0.1/tcp/4672';

function problemOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof SpaceError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('the settings of a space', () => {
  it('may be left out', () => {
    expect(parseSpaceSettings({})).toEqual({ seeds: [], access: 'open' });
    expect(parseJoinSettings({})).toEqual({ seeds: [], owner: undefined, grant: undefined });
  });

  it('are seeds and an access in a declare, seeds, an owner and a grant in a join', async () => {
    const [{ id }] = (await identities(1)) as [Identity];
    expect(parseSpaceSettings({ seeds: [SEED], access: 'open' }).seeds.map(String)).toEqual([SEED]);
    expect(parseSpaceSettings({ access: 'granted' }).access).toBe('granted');
    expect(parseJoinSettings({ grant: 'a.b.c' }).grant).toBe('a.b.c');
    expect(problemOf(() => parseJoinSettings({ grant: 5 }))).toContain(
      'exchangespace.grant: expected a grant',
    );
    const { seeds, owner } = parseJoinSettings({ seeds: `${SEED}, localhost:1`, owner: id });
    expect([...seeds.map(String), owner]).toEqual([SEED, '/dns/localhost/tcp/1', id]);
  });

  it.each<[string, FieldTable, string]>([
    [
      'an access of another kind',
      { access: 5 },
      "invalid-argument: access: expected 'open' or 'granted', found number",
    ],
    [
      'an access that cannot be written down',
      { access: 5n },
      "invalid-argument: access: expected 'open' or 'granted', found",
    ],
    ['a field of a join', { owner: 'x' }, "argument 'owner' is not understood; expected 'seeds', 'access'"],
    ['seeds of another kind', { seeds: 5 }, 'invalid-argument: seeds is neither an array'],
    ['a seed that is no address', { seeds: [SEED, 'nonsense'] }, 'seeds[1] "nonsense"'],
  ])('refuse %s in a declare, and name it', (_, settings, text) => {
    expect(problemOf(() => parseSpaceSettings(settings))).toContain(text);
  });

  it.each<[string, FieldTable, string]>([
    ['an owner that is no peer id', { owner: 'me' }, 'exchangespace.owner: expected a peer id, found "me"'],
    [
      'an owner of another kind',
      { owner: { a: 1 } },
      'exchangespace.owner: expected a peer id, found object',
    ],
    ['a field of a declare', { access: 'open' }, "argument 'exchangespace.access' is not understood"],
    ['a seed that is no address', { seeds: ['nonsense'] }, 'exchangespace.seeds[0] "nonsense"'],
  ])('refuse %s in a join, and name it', (_, settings, text) => {
    expect(problemOf(() => parseJoinSettings(settings))).toContain(`invalid-argument: ${text}`);
  });
});
