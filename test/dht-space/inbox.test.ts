import { describe, expect, it } from 'vitest';
import type { InboxSink } from '../../src/dht-space/inbox.js';
import { Inbox, MessageStreamError } from '../../src/dht-space/inbox.js';
import { MAX_RECORD_BYTES } from '../../src/dht-space/limits.js';
import type { Content } from '../../src/overlay/index.js';
import { Random, seed } from '../support/random.js';
import { messageRecord, namingRecord, record, u32, u64 } from './wire-records.js';

const SPACE_ID = Buffer.alloc(32, 7);

/** Copies what it is handed, as texts that can be compared. */
class Recorder implements InboxSink {
  readonly seen: string[] = [];
  /** The buffers that contents were lent from. */
  readonly buffers: Uint8Array[] = [];

  point(point: number, spaceId: Buffer, name: string): void {
    this.seen.push(`point ${point} ${spaceId.toString('hex')} ${name}`);
  }

  message(point: number, sequence: number, content: Content): void {
    const { routingKey, bytes, headerStart, headerEnd, bodyStart, bodyEnd } = content;
    const header = Buffer.from(bytes.subarray(headerStart, headerEnd)).toString('hex');
    const body = Buffer.from(bytes.subarray(bodyStart, bodyEnd)).toString('hex');
    this.seen.push(`message ${point} ${sequence} '${routingKey}' ${header} ${body}`);
    this.buffers.push(bytes);
  }
}

/** Two points and a handful of messages, with everything empty that can be. */
function sample(): { bytes: Buffer; seen: string[] } {
  const records = [
    namingRecord(1, SPACE_ID, ''),
    messageRecord(1, 1, { routingKey: '', header: Buffer.alloc(0), body: Buffer.alloc(0) }),
    namingRecord(0xffffffff, SPACE_ID, 'é'),
    messageRecord(0xffffffff, 2 ** 53 - 1, {
      routingKey: 'a.ü',
      header: Buffer.from('HH'),
      body: Buffer.from('b'),
    }),
    messageRecord(1, 3, { routingKey: 'a.ü', header: Buffer.alloc(0), body: Buffer.from('body') }),
  ];
  const zeros = '07'.repeat(32);
  return {
    bytes: Buffer.concat(records),
    seen: [
      `point 1 ${zeros} `,
      "message 1 1 ''  ",
      `point 4294967295 ${zeros} é`,
      "message 4294967295 9007199254740991 'a.ü' 4848 62",
      "message 1 3 'a.ü'  626f6479",
    ],
  };
}

function parsed(...pieces: readonly Buffer[]): Recorder {
  const recorder = new Recorder();
  const inbox = new Inbox(recorder, 1000);
  for (const piece of pieces) inbox.parse(piece);
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (inbox.offset + inbox.partialBytes !== 1000 + bytes) expect.fail(`${bytes} bytes make ${inbox.offset}`);
  return recorder;
}

describe('an inbox', () => {
  it('reads records that come in one piece, in place', () => {
    const { bytes, seen } = sample();
    const recorder = parsed(bytes);
    expect(recorder.seen).toEqual(seen);
    for (const buffer of recorder.buffers) expect(buffer).toBe(bytes);
  });

  it('reads the same whatever two or three pieces it is cut into', () => {
    const { bytes, seen } = sample();
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        if (parsed(...pieces).seen.join() !== seen.join()) expect.fail(`cut at ${first} and ${second}`);
      }
    }
  });

  it('reads the same octet by octet', () => {
    const { bytes, seen } = sample();
    expect(parsed(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))).seen).toEqual(seen);
  });

  it(`reads long streams in pieces of any size (SEED=${seed})`, () => {
    const random = new Random(seed);
    const records = Array.from({ length: 2000 }, (_, sequence) =>
      messageRecord(1, sequence, {
        routingKey: random.pick(['a', 'b', 'ab', '']),
        header: Buffer.alloc(random.int(20), sequence),
        body: Buffer.alloc(random.pick([0, random.int(200), random.int(5000)]), sequence),
      }),
    );
    const bytes = Buffer.concat(records);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = random.pick([1, 3, random.int(100), random.int(65_536)]);
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    expect(parsed(...pieces).seen).toEqual(parsed(...records).seen);
  });

  it('counts an offset only when its record is whole', () => {
    const { bytes } = sample();
    const inbox = new Inbox(new Recorder(), 0);
    inbox.parse(bytes.subarray(0, bytes.length - 1));
    const whole =
      bytes.length -
      messageRecord(1, 3, { routingKey: 'a.ü', header: Buffer.alloc(0), body: Buffer.from('body') }).length;
    expect([inbox.offset, inbox.partialBytes]).toEqual([whole, bytes.length - whole - 1]);
    inbox.parse(bytes.subarray(bytes.length - 1));
    expect([inbox.offset, inbox.partialBytes]).toEqual([bytes.length, 0]);
  });

  it('puts the largest record there may be together without copying it for every piece', () => {
    const body = Buffer.alloc(
      MAX_RECORD_BYTES -
        messageRecord(1, 1, { routingKey: '', header: Buffer.alloc(0), body: Buffer.alloc(0) }).length,
      'x',
    );
    const bytes = messageRecord(1, 1, { routingKey: '', header: Buffer.alloc(0), body });
    expect(bytes.length).toBe(MAX_RECORD_BYTES);
    let received = 0;
    const inbox = new Inbox(
      { point: () => {}, message: (_, __, { bodyStart, bodyEnd }) => (received = bodyEnd - bodyStart) },
      0,
    );
    const started = performance.now();
    for (let at = 0; at < bytes.length; at += 1024) inbox.parse(bytes.subarray(at, at + 1024));
    expect(received).toBe(body.length);
    // Copying what is there again for each of the 16,000 pieces would move 130 GB.
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it.each([
    ['an empty record', u32(0)],
    ['a record above the limit', u32(MAX_RECORD_BYTES - 3)],
    ['the longest length there is', u32(0xffffffff)],
    ['an unknown kind', record(2, Buffer.from('anything'))],
    ['a message without its fixed fields', record(1, Buffer.alloc(12))],
    ['a routing key beyond the end', record(1, u32(1), u64(1), Buffer.from([5]), Buffer.from('abcd'))],
    ['a header length beyond the end', record(1, u32(1), u64(1), Buffer.from([0]), Buffer.alloc(3))],
    ['a header beyond the end', record(1, u32(1), u64(1), Buffer.from([0]), u32(2), Buffer.alloc(1))],
    ['a header far beyond the end', record(1, u32(1), u64(1), Buffer.from([0]), u32(0xffffffff))],
    ['a point without its space', record(0, u32(1), Buffer.alloc(31))],
  ])('refuses %s, wherever it is cut', (_, bytes) => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const recorder = new Recorder();
      const inbox = new Inbox(recorder, 0);
      const parse = () => {
        inbox.parse(bytes.subarray(0, cut));
        inbox.parse(bytes.subarray(cut));
      };
      expect(parse).toThrow(MessageStreamError);
      expect(recorder.seen).toEqual([]);
    }
  });

  it(`fails with nothing but its own error on mutated input, and holds no more than a record (SEED=${seed})`, () => {
    const random = new Random(seed);
    const { bytes } = sample();
    let failures = 0;
    for (let round = 0; round < 4_000; round += 1) {
      const mutated = mutate(bytes, random);
      const inbox = new Inbox(new Recorder(), 0);
      try {
        for (let at = 0; at < mutated.length; ) {
          const size = 1 + random.int(mutated.length);
          inbox.parse(mutated.subarray(at, at + size));
          at += size;
        }
      } catch (error) {
        if (!(error instanceof MessageStreamError)) throw error;
        failures += 1;
      }
      if (inbox.partialBytes > MAX_RECORD_BYTES) expect.fail(`${inbox.partialBytes} bytes are held`);
    }
    // Both outcomes are there, or this says nothing.
    expect(failures).toBeGreaterThan(200);
    expect(failures).toBeLessThan(3_800);
  });
});

/** Some octets changed, removed, put in or put elsewhere. */
function mutate(bytes: Buffer, random: Random): Buffer {
  let mutated = Buffer.from(bytes);
  for (let i = 0; i <= random.int(3); i += 1) {
    const at = random.int(mutated.length);
    const length = random.int(Math.min(16, mutated.length - at) + 1);
    switch (random.int(4)) {
      case 0:
        mutated[at] = random.int(256);
        break;
      case 1:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + length)]);
        break;
      case 2:
        mutated = Buffer.concat([
          mutated.subarray(0, at),
          Buffer.alloc(length, random.int(256)),
          mutated.subarray(at),
        ]);
        break;
      default:
        mutated.copy(mutated, random.int(mutated.length), at, at + length);
    }
    if (mutated.length === 0) return Buffer.from(bytes);
  }
  return mutated;
}
