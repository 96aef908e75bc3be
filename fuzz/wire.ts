import { deepStrictEqual } from 'node:assert/strict';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { Inbox, MessageStreamError } from '../src/dht-space/inbox.js';
import { decodeInterest } from '../src/dht-space/interest-wire.js';
import { messageRecordBytes, pointRecord, writeMessageRecord } from '../src/dht-space/record-format.js';
import { decodePayload, encodePayload } from '../src/dht-space/record-payload.js';
import type { RecordKind, SpaceRecord } from '../src/dht-space/records.js';
import { RecordError } from '../src/dht-space/records.js';
import { Control } from '../src/dht-space/wire/control.js';
import { exchangeTypes } from '../src/overlay/index.js';
import type { Random } from '../test/support/random.js';
import { mutated, octetsOf } from './mutate.js';
import type { Target } from './target.js';
import { octetParts } from './target.js';

type Reader = 'messages' | 'control' | RecordKind;

export interface WireCase {
  readonly reader: Reader;
  readonly hex: string;
}

const READERS: readonly Reader[] = ['messages', 'control', 'space-manifest', 'point-record', 'member-record'];
const TIME_LIMIT_MS = 1_000;
const NOW_MS = 1_800_000_000_000;
const SPACE_ID = 'ab'.repeat(32);
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32));
const SIGNER = peerIdFromPrivateKey(key).toString();

/** What other nodes send: the message stream in any pieces, control messages, the payloads of signed records. */
export const wire: Target<WireCase> = {
  name: 'wire',
  generate(random) {
    const reader = random.pick(READERS);
    const valid = Buffer.from(validOctets(reader, random));
    return { reader, hex: (random.int(4) === 0 ? valid : mutated(valid, random)).toString('hex') };
  },
  async run({ reader, hex }) {
    const started = performance.now();
    try {
      check(reader, Buffer.from(hex, 'hex'));
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    const ms = performance.now() - started;
    return ms > TIME_LIMIT_MS ? `took ${Math.round(ms)} ms` : undefined;
  },
  parts: {
    of: ({ hex }) => octetParts.of(hex),
    toCase: (parts, { reader }) => ({ reader, hex: octetParts.toCase(parts) }),
  },
};

function check(reader: Reader, octets: Buffer): void {
  if (reader === 'messages') checkMessages(octets);
  else if (reader === 'control') checkControl(octets);
  else checkRecord(reader, octets);
}

/** The same records, up to the same error, whatever pieces they come in. */
function checkMessages(octets: Buffer): void {
  const whole = recordsOf([octets]);
  deepStrictEqual(recordsOf([...octets].map((octet) => Buffer.from([octet]))), whole);
  const third = Math.floor(octets.length / 3);
  deepStrictEqual(recordsOf([octets.subarray(0, third), octets.subarray(third)]), whole);
}

function recordsOf(pieces: readonly Buffer[]): readonly string[] {
  const seen: string[] = [];
  const sink = {
    point: (point: number, spaceId: Buffer, name: string) =>
      seen.push(`point ${point} ${spaceId.toString('hex')} ${name}`),
    message: (point: number, sequence: number, content: Parameters<typeof messageRecordBytes>[0]) => {
      const { bytes, bodyEnd, bodyStart, headerEnd, headerStart, routingKey } = content;
      const sizes = `${headerEnd - headerStart} ${bodyEnd - bodyStart}`;
      const octets = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      seen.push(
        `${point} ${sequence} ${routingKey} ${sizes} ${octets.toString('hex', headerStart, headerEnd)}`,
      );
    },
  };
  const inbox = new Inbox(sink, 0);
  try {
    for (const piece of pieces) inbox.parse(piece);
  } catch (error) {
    if (!(error instanceof MessageStreamError)) throw error;
    seen.push(error.name);
  }
  return seen;
}

/** Errors are right: they end the session. Running out of stack or time is not. */
function checkControl(octets: Buffer): void {
  try {
    const { interest } = Control.decode(octets);
    for (const pattern of [...(interest?.added ?? []), ...(interest?.removed ?? [])]) {
      for (const { name } of exchangeTypes) decodeInterest(name, pattern);
    }
  } catch (error) {
    if (error instanceof RangeError && /call stack/i.test(error.message)) throw error;
  }
}

/** What was accepted is the same when it is handed on. */
function checkRecord(kind: RecordKind, octets: Buffer): void {
  let record: SpaceRecord;
  try {
    record = decodePayload(kind, octets, SIGNER);
  } catch (error) {
    if (error instanceof RecordError) return;
    throw error;
  }
  deepStrictEqual(decodePayload(kind, encodePayload(record), SIGNER), record);
}

function validOctets(reader: Reader, random: Random): Uint8Array {
  if (reader === 'messages') return Buffer.concat(random.list(4, () => anyRecord(random)));
  if (reader === 'control') return Control.encode(anyControl(random));
  return encodePayload(recordOf(reader, random));
}

function anyRecord(random: Random): Buffer {
  if (random.int(3) === 0)
    return pointRecord(random.int(3), octetsOf(random, 32), random.pick(['p', 'é', '']));
  const bytes = octetsOf(random, 40);
  const routingKey = random.pick(['', 'a.b', 'é', 'k'.repeat(255)]);
  const keyBytes = Buffer.byteLength(routingKey);
  const content = {
    routingKey,
    bytes,
    headerStart: 2,
    headerEnd: 16,
    bodyStart: 20,
    bodyEnd: 20 + random.int(20),
  };
  const size = messageRecordBytes(content, keyBytes);
  const record = Buffer.alloc(size);
  writeMessageRecord(record, 0, size, random.int(3), random.int(2 ** 32), content, keyBytes);
  return record;
}

function anyControl(random: Random): Control {
  const number = random.int(2 ** 32);
  const pattern = () => ({
    routingKey: random.pick(['', '#', 'a.*']),
    arguments: random.pick([
      '',
      '{}',
      `${'['.repeat(50)}${']'.repeat(50)}`,
      '{"x-match":"any","a":[1,{"b":null}]}',
    ]),
    token: octetsOf(random, random.pick([0, 32])),
    everything: random.int(4) === 0,
  });
  const patterns = { added: random.list(3, pattern), removed: random.list(2, pattern) };
  const digest = BigInt(random.int(2 ** 32));
  return random.pick<Control>([
    { interest: { number, id: random.int(4), snapshot: random.int(2) === 0, ...patterns, digest } },
    { settled: { number } },
    { progress: { consumed: number, limit: number } },
    { synced: { number, spaceId: octetsOf(random, 32) } },
    { attach: { number, id: random.int(4), spaceId: octetsOf(random, 32), point: 'p', type: 'topic' } },
  ]);
}

function recordOf(kind: RecordKind, random: Random): SpaceRecord {
  const times = { sequence: random.int(1_000), expiresMs: NOW_MS + 60_000 };
  const flag = random.int(2) === 0;
  switch (kind) {
    case 'space-manifest':
      return {
        kind,
        space: 'market',
        owner: SIGNER,
        generation: random.int(3),
        createdMs: NOW_MS,
        access: 'open',
        ...times,
        deleted: flag,
      };
    case 'point-record': {
      const definition = { name: 'bids', type: 'topic', arguments: '{"a":[1,{"b":null}]}' } as const;
      const state = { createdMs: NOW_MS, author: SIGNER, closed: flag, deleted: false };
      return { kind, spaceId: SPACE_ID, ...definition, ...times, ...state };
    }
    case 'member-record': {
      const content = { addresses: ['/ip4/127.0.0.1/tcp/4672'], points: ['bids'], left: flag };
      return { kind, spaceId: SPACE_ID, peer: SIGNER, epoch: 1n, ...times, ...content };
    }
  }
}
