import { createHash } from 'node:crypto';
import { generateKeyPairFromSeed, privateKeyToProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import type { ClaimKind, ClaimRules } from '../../src/dht-space/claims.js';
import {
  decodeClaims,
  encodeClaims,
  mergeClaims,
  POINT_CLAIMS,
  pointKey,
  SPACE_CLAIMS,
  spaceKey,
} from '../../src/dht-space/claims.js';
import { ControlStream } from '../../src/dht-space/control-stream.js';
import { Directory } from '../../src/dht-space/directory.js';
import { Inbox } from '../../src/dht-space/inbox.js';
import { IncomingMessages } from '../../src/dht-space/incoming-messages.js';
import {
  decodeInterest,
  encodeInterest,
  interestDigest,
  routingKeyToken,
  toldInterest,
} from '../../src/dht-space/interest-wire.js';
import { Outbox } from '../../src/dht-space/outbox.js';
import { preamble } from '../../src/dht-space/record-format.js';
import { decodePayload, encodePayload } from '../../src/dht-space/record-payload.js';
import type { SpaceRecord } from '../../src/dht-space/records.js';
import { open, seal, spaceIdOf } from '../../src/dht-space/records.js';
import type { Control } from '../../src/dht-space/wire/control.js';
import { LookupReply, LookupRequest, Pattern } from '../../src/dht-space/wire/control.js';
import type { Interest, PointType } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { quietLogger } from './environment.js';
import { FakeStream } from './fake-stream.js';
import { golden, hex, plain } from './golden.js';
import { MemoryStub } from './memory-stub.js';
import { frame } from './stranger.js';
import { contentOf } from './wire-records.js';

type Vector<T> = { readonly what: string } & T;

async function keyOf(name: string) {
  const identity = golden<Vector<{ seed: Buffer }>>('identities').find(({ what }) => what === name);
  return generateKeyPairFromSeed('Ed25519', Uint8Array.from(identity?.seed ?? []));
}

describe('golden vectors of keys and names', () => {
  type Identity = Vector<{ seed: Buffer; privateKey: Buffer; publicKey: Buffer; peerId: string }>;
  it.each(golden<Identity>('identities'))(
    'identity $what',
    async ({ what, privateKey, publicKey, peerId }) => {
      const key = await keyOf(what);
      expect(peerIdFromPrivateKey(key).toString()).toBe(peerId);
      expect(hex(privateKeyToProtobuf(key))).toBe(hex(privateKey));
      expect(hex(publicKeyToProtobuf(key.publicKey))).toBe(hex(publicKey));
    },
  );

  type Name = Vector<{
    space: string;
    owner: string;
    generation?: number;
    point: string;
    spaceId?: Buffer;
    valueKey?: string;
    multihash?: Buffer;
  }>;
  it.each(golden<Name>('names'))('$what', async ({ space, owner, generation = 0, ...names }) => {
    const { point, spaceId, valueKey, multihash } = names;
    if (multihash !== undefined) expect(await providedBy(space)).toBe(hex(multihash));
    else if (spaceId === undefined) expect(spaceKey(space)).toBe(valueKey);
    else if (valueKey === undefined) expect(spaceIdOf({ space, owner, generation })).toBe(hex(spaceId));
    else expect(pointKey(hex(spaceId), point)).toBe(valueKey);
  });

  /** The multihash that a member of the space provides. */
  async function providedBy(space: string): Promise<string> {
    const provided: Uint8Array[] = [];
    const provide = (cid: { multihash: { bytes: Uint8Array } }): readonly never[] => {
      provided.push(cid.multihash.bytes);
      return [];
    };
    const dht = { validators: {}, selectors: {}, provide };
    const routing = { onAdded: () => () => {} };
    const directory = new Directory({ dht, routing } as never, { logger: quietLogger });
    await directory.announce(space);
    directory.stop();
    return hex(provided[0] ?? new Uint8Array(0));
  }
});

describe('golden vectors of records', () => {
  type Signed = Vector<{
    signer: string;
    nowMs: number;
    record: SpaceRecord;
    payload: Buffer;
    envelope: Buffer;
  }>;
  it.each(golden<Signed>('records'))('$what', async ({ signer, nowMs, record, payload, envelope }) => {
    const key = await keyOf(signer);
    expect(hex(encodePayload(record))).toBe(hex(payload));
    expect(decodePayload(record.kind, payload, peerIdFromPrivateKey(key).toString())).toEqual(record);
    expect(hex(seal(record, key).bytes)).toBe(hex(envelope));
    expect(open(record.kind, envelope, nowMs).record).toEqual(record);
  });

  type Value = Vector<{ key: string; nowMs: number; envelopes: Buffer[]; value: Buffer }>;
  it.each(golden<Value>('claims'))('$what', ({ key, nowMs, envelopes, value }) => {
    const check = <K extends ClaimKind>(rules: ClaimRules<K>): void => {
      const claims = envelopes.map((bytes) => open(rules.kind, bytes, nowMs));
      expect(claims.map(({ record }) => rules.keyOf(record))).toEqual(claims.map(() => key));
      expect(hex(encodeClaims(mergeClaims(rules, claims.toReversed())))).toBe(hex(value));
      expect(decodeClaims(rules, value, nowMs)).toEqual(claims);
    };
    if (key.startsWith('/xspace-spaces/')) check(SPACE_CLAIMS);
    else check(POINT_CLAIMS);
  });
});

describe('golden vectors of control messages', () => {
  it.each(golden<Vector<{ value: Control; octets: Buffer }>>('control'))(
    '$what',
    async ({ value, octets }) => {
      const stream = new FakeStream();
      const control = new ControlStream(stream);
      const read: Control[] = [];
      control.onMessage = (message) => read.push(message);
      control.start();
      control.send(value);
      await eventually(() => expect(stream.sent.map(hex)).toEqual([hex(octets)]));
      stream.arrive(octets);
      expect(read.map(plain)).toEqual([plain(value)]);
    },
  );

  type Lookup = Vector<{ message: 'request' | 'reply'; value: object; octets: Buffer }>;
  it.each(golden<Lookup>('lookup'))('$what', ({ message, value, octets }) => {
    const codec = message === 'request' ? LookupRequest : LookupReply;
    expect(hex(frame(codec.encode(value)))).toBe(hex(octets));
    const prefixBytes = octets.findIndex((octet) => octet < 0x80) + 1;
    expect(plain(codec.decode(octets.subarray(prefixBytes)))).toEqual(plain(value));
  });
});

describe('golden vectors of interest', () => {
  type Told = Vector<{
    type: PointType;
    spaceId: Buffer;
    point: string;
    peer: string;
    interest: Interest;
    pattern: Pattern;
    octets: Buffer;
    digest: bigint;
  }>;
  it.each(golden<Told>('interest'))(
    '$what',
    ({ type, spaceId, point, peer, interest, pattern, octets, digest }) => {
      const told = toldInterest(type, interest, (key) => routingKeyToken(key, hex(spaceId), point, peer));
      expect(plain(encodeInterest(type, told))).toEqual(plain(pattern));
      expect(hex(Pattern.encode(encodeInterest(type, told)))).toBe(hex(octets));
      expect(decodeInterest(type, Pattern.decode(octets))).toEqual(told);
      expect(interestDigest(told)).toBe(digest);
    },
  );
});

describe('golden vectors of the message stream', () => {
  interface Message {
    readonly point: number;
    readonly sequence: number;
    readonly routingKey: string;
    readonly header: Buffer;
    readonly body: Buffer | { readonly length: number; readonly modulus: number };
  }
  type Part = Vector<{
    preamble?: { session: number; offset: number };
    point?: { point: number; spaceId: Buffer; name: string };
    message?: Message;
    octets?: Buffer;
    begins?: Buffer;
    length?: number;
    sha256?: Buffer;
  }>;
  const parts = golden<Part>('messages');

  it.each(parts.filter((part) => part.preamble !== undefined))('$what', ({ preamble: fields, octets }) => {
    const { session, offset } = fields as { session: number; offset: number };
    expect(hex(preamble(session, offset))).toBe(hex(octets as Buffer));
    const stream = new FakeStream('inbound');
    const claimed: number[] = [];
    const messages = new IncomingMessages(stream, (number) => {
      claimed.push(number);
      return { sink: {}, creditBytes: 1, heard() {}, mayGrant: () => true, report() {}, end() {} } as never;
    });
    stream.arrive(octets as Buffer);
    expect([claimed, messages.consumed]).toEqual([[session], offset]);
    messages.abort(new Error('the end'));
  });

  it.each(parts.filter(({ preamble }) => preamble === undefined))('$what', (part) => {
    const outbox = new Outbox(new MemoryStub());
    const { point, message } = part;
    if (point !== undefined) outbox.appendPoint(point.point, point.spaceId, point.name);
    if (message !== undefined) {
      const { routingKey, header } = message;
      outbox.appendMessage(message.point, message.sequence, contentOf(routingKey, header, bodyOf(message)));
    }
    const octets = outbox.take(Number.POSITIVE_INFINITY) ?? Buffer.alloc(0);
    if (part.octets !== undefined) expect(hex(octets)).toBe(hex(part.octets));
    else {
      expect(hex(octets.subarray(0, part.begins?.length))).toBe(hex(part.begins as Buffer));
      expect(octets.length).toBe(part.length);
      expect(createHash('sha256').update(octets).digest('hex')).toBe(hex(part.sha256 as Buffer));
    }
    expect(plain(parsed(octets))).toEqual(
      plain({ ...point, ...message, ...(message && { body: bodyOf(message) }) }),
    );
  });

  function bodyOf({ body }: Message): Buffer {
    if (Buffer.isBuffer(body)) return body;
    return Buffer.from(Array.from({ length: body.length }, (_, i) => i % body.modulus));
  }

  /** What the one record in these octets says. */
  function parsed(octets: Buffer): unknown {
    let read: unknown;
    const inbox = new Inbox(
      {
        point: (point, spaceId, name) => {
          read = { point, spaceId, name };
        },
        message: (point, sequence, { routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd }) => {
          const header = Buffer.from(bytes.subarray(headerStart, headerEnd));
          read = {
            point,
            sequence,
            routingKey,
            header,
            body: Buffer.from(bytes.subarray(bodyStart, bodyEnd)),
          };
        },
      },
      0,
    );
    inbox.parse(octets);
    expect(inbox.offset).toBe(octets.length);
    return read;
  }
});
