import { beforeAll, describe, expect, it } from 'vitest';
import { signEnvelope } from '../../src/dht-space/envelope.js';
import {
  MANIFEST_VALIDITY_MS,
  MAX_CLOCK_SKEW_MS,
  MAX_SIGNED_RECORD_BYTES,
} from '../../src/dht-space/limits.js';
import type { PointRecord, RecordErrorCode, RecordKind } from '../../src/dht-space/records.js';
import {
  open,
  openIfUsable,
  preferred,
  RecordError,
  seal,
  spaceIdFromBytes,
  spaceIdOf,
  spaceIdToBytes,
} from '../../src/dht-space/records.js';
import { Envelope } from '../../src/dht-space/wire/envelope.js';
import { Random, seed } from '../support/random.js';
import type { Identity } from './fixtures.js';
import { identities, manifest, member, NOW, point } from './fixtures.js';

let alice: Identity;
let bob: Identity;

beforeAll(async () => {
  [alice, bob] = (await identities(2)) as [Identity, Identity];
});

function refusal(kind: RecordKind, bytes: Uint8Array, now = NOW): RecordErrorCode | 'accepted' {
  try {
    open(kind, bytes, now);
    return 'accepted';
  } catch (error) {
    if (error instanceof RecordError) return error.code;
    throw error;
  }
}

function tampered(bytes: Uint8Array, change: (envelope: Envelope) => void): Uint8Array {
  const envelope = Envelope.decode(bytes);
  change(envelope);
  return Envelope.encode(envelope);
}

describe('a signed record', () => {
  it('comes back as it was sealed, with the signer in the field that names it', () => {
    const sealed = [
      manifest(alice, { access: 'granted', deleted: true }),
      point(alice, { name: 'prix d’été', arguments: '{"a":[1,"é"]}', closed: true }),
      member(alice, { epoch: 2n ** 64n - 1n, addresses: ['/ip6/::1/tcp/1', '/dns/host/tcp/2'], left: true }),
    ];
    for (const { record, bytes } of sealed) {
      const opened = open(record.kind, bytes, NOW);
      expect(opened.record).toEqual(record);
      expect(Buffer.from(opened.bytes).equals(bytes)).toBe(true);
    }
  });

  it('is refused when somebody else puts his key in', () => {
    const forged = tampered(point(alice).bytes, (envelope) => {
      envelope.publicKey = Envelope.decode(point(bob).bytes).publicKey;
    });
    expect(refusal('point-record', forged)).toBe('bad-signature');
  });

  it('is not sealed for anybody but the owner of the key', () => {
    expect(() => seal(manifest(alice).record, bob.key)).toThrow(TypeError);
  });

  it('is refused where a record of another kind is expected', () => {
    expect(refusal('space-manifest', point(alice).bytes)).toBe('wrong-domain');
  });

  it('is refused when it claims to be of another kind than was signed', () => {
    const relabelled = tampered(point(alice).bytes, (envelope) => {
      envelope.payloadType = Uint8Array.from(Buffer.from('/xspace/space-manifest'));
    });
    expect(refusal('space-manifest', relabelled)).toBe('bad-signature');
  });

  it('is refused once it has expired, the clocks being apart at most', () => {
    const { bytes, record } = member(alice);
    const last = record.expiresMs + MAX_CLOCK_SKEW_MS;
    expect(refusal('member-record', bytes, last)).toBe('accepted');
    expect(refusal('member-record', bytes, last + 1)).toBe('expired');
  });

  it('is passed over once it has expired, but blamed on clocks when its signer hands it over', () => {
    const { bytes, record } = member(alice);
    const late = record.expiresMs + MAX_CLOCK_SKEW_MS + 1;
    expect(openIfUsable('member-record', bytes, late)).toBeUndefined();
    expect(openIfUsable('member-record', bytes, late, bob.id)).toBeUndefined();
    expect(() => openIfUsable('member-record', bytes, late, alice.id)).toThrow(
      expect.objectContaining({ code: 'clock-skew' }),
    );
  });

  it('is refused when it comes from the future, or is good for too long', () => {
    const early = NOW - MAX_CLOCK_SKEW_MS;
    expect(refusal('point-record', point(alice).bytes, early)).toBe('accepted');
    expect(refusal('point-record', point(alice).bytes, early - 1)).toBe('not-yet-valid');
    const endless = manifest(alice, { expiresMs: NOW + MANIFEST_VALIDITY_MS + MAX_CLOCK_SKEW_MS + 1 });
    expect(refusal('space-manifest', endless.bytes)).toBe('not-yet-valid');
  });

  it('is neither made nor read above the limit of its size', () => {
    const big = `{"a":"${'x'.repeat(MAX_SIGNED_RECORD_BYTES)}"}`;
    expect(() => point(alice, { arguments: big })).toThrow(expect.objectContaining({ code: 'too-large' }));
    expect(refusal('point-record', Buffer.alloc(MAX_SIGNED_RECORD_BYTES + 1))).toBe('too-large');
  });

  it.each([
    ['an empty name', { name: '' }],
    ['a name of more than 255 bytes', { name: 'é'.repeat(128) }],
    ['a negative sequence', { sequence: -1 }],
    ['arguments that are not JSON', { arguments: '{' }],
    ['arguments that are a list', { arguments: '[]' }],
    ['no type', { type: '' as PointRecord['type'] }],
  ])('is not made with %s', (_, changes) => {
    expect(() => point(alice, changes)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  it('is not made with a type that only a later version has', () => {
    const type = 'x-random' as PointRecord['type'];
    expect(() => point(alice, { type })).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });

  it('is refused when its signer signed nonsense', () => {
    for (const payload of [Buffer.alloc(0), Buffer.from('nonsense'), Buffer.from([0x0a, 0xff, 0xff])]) {
      for (const kind of ['space-manifest', 'point-record', 'member-record'] as const) {
        expect(refusal(kind, signEnvelope(`/xspace/${kind}`, payload, alice.key))).toBe('malformed');
      }
    }
  });

  it(`is refused with any octet changed, added or removed (SEED=${seed})`, () => {
    const random = new Random(seed);
    const records = [manifest(alice), point(alice), member(alice)];
    for (let i = 0; i < 1500; i++) {
      const { record, bytes } = random.pick(records);
      const at = random.int(bytes.length);
      const changed = Buffer.concat([
        bytes.subarray(0, at),
        random.int(3) === 0 ? Buffer.alloc(0) : Buffer.from([(bytes[at] ?? 0) ^ (1 + random.int(255))]),
        random.int(3) === 0 ? Buffer.from([random.int(256)]) : Buffer.alloc(0),
        bytes.subarray(at + 1),
      ]);
      if (changed.equals(bytes)) continue;
      expect(refusal(record.kind, changed), changed.toString('hex')).not.toBe('accepted');
    }
  });

  it(`is refused when it is random octets (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let i = 0; i < 3000; i++) {
      const bytes = Buffer.from(random.list(200, () => random.int(256)));
      expect(
        refusal(random.pick(['space-manifest', 'point-record', 'member-record'] as const), bytes),
      ).not.toBe('accepted');
    }
  });
});

describe('the id of a space', () => {
  const idOf = (space: string, owner: string, generation = 0) => spaceIdOf({ space, owner, generation });

  it('differs by name, by owner and by generation, and is the same everywhere', () => {
    expect(idOf('market', 'A')).toBe('81a0e22552c21313a117ac358e50d2b4edeb57eb4dcc96cf020f8906cd109524');
    const others = [idOf('market', 'AB'), idOf('marketA', 'B'), idOf('market', 'B'), idOf('market', 'B', 1)];
    expect(new Set(others).size).toBe(others.length);
  });

  it('survives the way over the wire, and nothing of another length does', () => {
    const id = idOf('market', 'A');
    expect(spaceIdFromBytes(spaceIdToBytes(id))).toBe(id);
    expect(() => spaceIdFromBytes(Buffer.alloc(31))).toThrow(RecordError);
  });
});

describe('of two records of one point', () => {
  function expectPreferred(better: PointRecord, worse: PointRecord): void {
    expect(preferred(better, worse)).toBe(better);
    expect(preferred(worse, better)).toBe(better);
  }

  it('the older definition is preferred, whoever signed it and whatever its sequence', () => {
    expectPreferred(
      point(bob, { createdMs: NOW - 1 }).record,
      point(alice, { type: 'direct', sequence: 9 }).record,
    );
  });

  it('one of two that are equally old is preferred, and stays so when others renew it', () => {
    const direct = point(bob, { type: 'direct' }).record;
    expectPreferred(direct, point(alice).record);
    expectPreferred(point(alice, { type: 'direct', sequence: 2 }).record, point(bob).record);
  });

  it('the later sequence is preferred where they renew one definition', () => {
    expectPreferred(point(bob, { sequence: 2 }).record, point(alice, { sequence: 1 }).record);
    expectPreferred(point(bob, { closed: true }).record, point(alice).record);
  });

  it('a deletion is preferred to all that was defined before it, and gives way to what was defined since', () => {
    const deleted = point(bob, { createdMs: NOW, closed: true, deleted: true }).record;
    expectPreferred(deleted, point(alice, { sequence: 9 }).record);
    expectPreferred(deleted, point(alice, { createdMs: NOW - 1, type: 'direct' }).record);
    expectPreferred(point(alice, { createdMs: NOW + 1, closed: true }).record, deleted);
    expectPreferred(point(alice, { createdMs: NOW + 1, closed: true, deleted: true }).record, deleted);
  });

  it('a closed one gives way to any other definition', () => {
    expectPreferred(
      point(bob, { createdMs: NOW + 1, type: 'direct' }).record,
      point(alice, { closed: true }).record,
    );
  });
});
