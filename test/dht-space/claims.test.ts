import { beforeAll, describe, expect, it } from 'vitest';
import type { Claim } from '../../src/dht-space/claims.js';
import {
  decodeClaims,
  encodeClaims,
  mergeClaims,
  POINT_CLAIMS,
  pointKey,
  SPACE_CLAIMS,
  spaceKey,
} from '../../src/dht-space/claims.js';
import { MAX_CLAIMS, MAX_CLOCK_SKEW_MS } from '../../src/dht-space/limits.js';
import { RecordValidator } from '../../src/dht-space/record-validator.js';
import { Random, seed } from '../support/random.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, NOW, point, SPACE_ID } from './fixtures.js';

let people: readonly Identity[];
let alice: Identity;
let bob: Identity;
const KEY = pointKey(SPACE_ID, 'bids');

beforeAll(async () => {
  people = await identities(MAX_CLAIMS + 2);
  [alice, bob] = people as [Identity, Identity];
});

describe('claims to one name', () => {
  it('are the newest record of each claim, the preferred first', () => {
    const older = manifest(bob, { createdMs: NOW - 1 });
    const renewed = manifest(alice, { sequence: 2 });
    const merged = mergeClaims(SPACE_CLAIMS, [manifest(alice), older, renewed]);
    expect(merged).toEqual([older, renewed]);
  });

  it('are limited to the preferred ones', () => {
    const all = people.map((person, age) => manifest(person, { createdMs: NOW - age }));
    const merged = mergeClaims(SPACE_CLAIMS, all);
    expect(merged).toEqual([...all].reverse().slice(0, MAX_CLAIMS));
  });

  it('to a space are limited to those that were signed last, so that names which were given up make room', () => {
    const all = people.map((person, age) => manifest(person, { createdMs: NOW - age, sequence: NOW - age }));
    let stepwise: readonly Claim<'space-manifest'>[] = [];
    for (const each of all) stepwise = mergeClaims(SPACE_CLAIMS, [each, ...stepwise]);
    expect(stepwise).toEqual(all.slice(0, MAX_CLAIMS).reverse());
    expect(mergeClaims(SPACE_CLAIMS, all.toReversed())).toEqual(stepwise);
  });

  it(`are the same whatever order the records came in, and in however many steps (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 50; round++) {
      const records = random.list(6, () =>
        point(random.pick([alice, bob]), {
          type: random.pick(['topic', 'direct'] as const),
          createdMs: NOW - random.int(2),
          sequence: random.int(3),
          closed: random.int(2) === 0,
          ...(random.int(5) === 0 && { closed: true, deleted: true }),
        }),
      );
      const shuffled = [...records].sort(() => random.int(3) - 1);
      let stepwise: readonly Claim<'point-record'>[] = [];
      for (const record of shuffled) stepwise = mergeClaims(POINT_CLAIMS, [record, ...stepwise]);
      expect(stepwise).toEqual(mergeClaims(POINT_CLAIMS, records));
    }
  });

  it('keep the last deletion, whatever else there is, and nothing that was defined before it', () => {
    const deleted = point(bob, { createdMs: NOW + 5, closed: true, deleted: true });
    const earlier = point(alice, { createdMs: NOW + 4, sequence: 9, closed: true, deleted: true });
    const defined = people.map((person, age) =>
      point(person, { createdMs: NOW + 1 + age, arguments: `{"age":${age}}` }),
    );
    const merged = mergeClaims(POINT_CLAIMS, [earlier, ...defined, deleted]);
    expect(merged).toEqual([...defined.slice(5), deleted]);
    const later = people.map((person, age) =>
      point(person, { createdMs: NOW + 6, arguments: `{"age":${age}}` }),
    );
    expect(mergeClaims(POINT_CLAIMS, [...later, deleted])).toEqual([
      ...later.slice(0, MAX_CLAIMS - 1),
      deleted,
    ]);
  });

  it('come back from their encoding, those that have expired left out', () => {
    const claims = [manifest(alice), manifest(bob, { expiresMs: NOW + 1 })];
    const later = NOW + MAX_CLOCK_SKEW_MS + 2;
    expect(decodeClaims(SPACE_CLAIMS, encodeClaims(claims), NOW).map(({ record }) => record)).toEqual(
      claims.map(({ record }) => record),
    );
    expect(decodeClaims(SPACE_CLAIMS, encodeClaims(claims), later)).toHaveLength(1);
  });
});

describe('a validator', () => {
  function createValidator() {
    const changed: string[] = [];
    const validator = new RecordValidator(
      POINT_CLAIMS,
      () => NOW,
      (key) => changed.push(key),
    );
    return { validator, changed };
  }

  const outdated = expect.objectContaining({ code: 'outdated' });

  it('stores a renewal, and never goes back behind it', () => {
    const { validator, changed } = createValidator();
    validator.validate(KEY, encodeClaims([point(alice)]), 'store');
    validator.validate(KEY, encodeClaims([point(alice, { sequence: 2 })]), 'store');
    expect(() => validator.validate(KEY, encodeClaims([point(alice)]), 'store')).toThrow(outdated);
    expect(validator.claims(KEY)[0]?.record.sequence).toBe(2);
    expect(changed).toEqual([KEY, KEY]);
  });

  it('stores the same value again', () => {
    const { validator, changed } = createValidator();
    for (let i = 0; i < 2; i++) validator.validate(KEY, encodeClaims([point(alice)]), 'store');
    expect(changed).toEqual([KEY]);
  });

  it('refuses a value that lacks the claim of another author, and takes one that has both', () => {
    const { validator } = createValidator();
    const [first, second] = [point(alice), point(bob, { type: 'direct', createdMs: NOW + 1 })];
    validator.validate(KEY, encodeClaims([first]), 'store');
    expect(() => validator.validate(KEY, encodeClaims([second]), 'store')).toThrow(outdated);
    validator.validate(KEY, encodeClaims([second, first]), 'store');
    expect(validator.claims(KEY).map(({ record }) => record)).toEqual([first.record, second.record]);
  });

  it('learns from a value that it refuses', () => {
    const { validator } = createValidator();
    validator.validate(KEY, encodeClaims([point(bob, { createdMs: NOW + 1, type: 'direct' })]), 'store');
    expect(() => validator.validate(KEY, encodeClaims([point(alice)]), 'store')).toThrow(outdated);
    expect(validator.claims(KEY)[0]?.record.author).toBe(alice.id);
  });

  it('takes an outdated value that was read for an answer', () => {
    const { validator } = createValidator();
    validator.validate(KEY, encodeClaims([point(alice, { sequence: 2 })]), 'store');
    expect(() => validator.validate(KEY, encodeClaims([point(alice)]), 'read')).not.toThrow();
  });

  it('refuses what belongs under another key, is forged, or is empty', () => {
    const { validator } = createValidator();
    const other = pointKey(SPACE_ID, 'mailbox');
    const bytes = Uint8Array.from(point(alice).bytes);
    bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 1;
    const forged = { ...point(alice), bytes };
    for (const [key, value, code] of [
      [other, encodeClaims([point(alice)]), 'foreign'],
      [KEY, encodeClaims([forged]), 'bad-signature'],
      [KEY, encodeClaims([manifest(alice)]), 'wrong-domain'],
      [KEY, new Uint8Array(0), 'expired'],
      [KEY, Buffer.from('nonsense'), 'malformed'],
    ] as const) {
      expect(() => validator.validate(key, value, 'store')).toThrow(expect.objectContaining({ code }));
    }
    expect(validator.claims(KEY)).toEqual([]);
  });

  it('forgets what has expired, so that a lower sequence may be stored', () => {
    let now = NOW;
    const validator = new RecordValidator(
      POINT_CLAIMS,
      () => now,
      () => {},
    );
    validator.learn(KEY, [point(alice, { sequence: 9, expiresMs: NOW })]);
    now = NOW + MAX_CLOCK_SKEW_MS;
    expect(validator.claims(KEY)).toHaveLength(1);
    now += 1;
    expect(validator.claims(KEY)).toEqual([]);
    validator.validate(KEY, encodeClaims([point(alice, { expiresMs: now })]), 'store');
    expect(validator.claims(KEY)[0]?.record.sequence).toBe(1);
  });

  it('selects the value that says most', () => {
    const { validator } = createValidator();
    const [a, b] = [point(alice, { sequence: 2 }), point(bob, { type: 'direct' })];
    validator.learn(KEY, [a, b]);
    const values = [[point(alice)], [a], [b, a], []].map((claims) => encodeClaims(claims));
    expect(validator.select(KEY, values)).toBe(2);
  });
});

describe('keys of the DHT', () => {
  it('are the same everywhere', () => {
    expect(spaceKey('market')).toBe(
      '/xspace-spaces/e4d693d24e646cb7878426225d90d2607fd40e2e7c82f4cf8246b2cc3e0decb8',
    );
    expect(pointKey('00'.repeat(32), 'bids')).toBe(
      '/xspace-points/7b5ac2906f099574e95704631ac677479b1ec7b2ed6f18fa41364e1e154aca07',
    );
  });
});
