import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { FlushTurn } from '../../src/amqp-gateway/flush-turn.js';
import {
  BY_REFERENCE_BYTES,
  FLUSH_BYTES,
  MAX_BACKLOG_BYTES,
  MAX_CONSUMER_BACKLOG_BYTES,
} from '../../src/amqp-gateway/limits.js';
import { ContentMessage } from '../../src/amqp-gateway/message.js';
import { Output } from '../../src/amqp-gateway/output.js';
import { MemoryAccount } from '../../src/broker/index.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
import { Random, seed } from '../support/random.js';

/** The writing half of a socket, whose other end takes octets when the test says so. */
class SlowSocket extends EventEmitter {
  readonly taken: Buffer[] = [];
  #queued: Buffer[] = [];
  #taking = true;
  writes = 0;

  get writableLength(): number {
    return this.#queued.reduce((sum, { length }) => sum + length, 0);
  }

  get writableNeedDrain(): boolean {
    return this.#queued.length > 0;
  }

  cork(): void {}

  uncork(): void {
    this.writes++;
    if (this.#taking) this.#take();
  }

  write(chunk: Buffer): void {
    this.#queued.push(chunk);
  }

  stop(): void {
    this.#taking = false;
  }

  go(): void {
    this.#taking = true;
    this.#take();
    this.emit('drain');
  }

  #take(): void {
    // What is taken is copied: from now on the sender may write to its buffers again.
    this.taken.push(...this.#queued.map((chunk) => Buffer.from(chunk)));
    this.#queued = [];
  }
}

function setUp(maxFrameBytes = 131_072) {
  const socket = new SlowSocket();
  const memory = new MemoryAccount({ limitBytes: 1e9, limitEntries: 1e9 });
  const told: string[] = [];
  const output = new Output(socket as unknown as Socket, maxFrameBytes, new FlushTurn(), memory, {
    flushing: () => told.push('flushing'),
    overloaded: () => told.push('overloaded'),
    relieved: () => told.push('relieved'),
  });
  const sent = () => Buffer.concat(socket.taken);
  return { socket, memory, told, output, sent };
}

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));
const deliver = (channel: number) =>
  methodFrame(channel, 'basic.deliver', { consumerTag: 'c', deliveryTag: 7 });

/** A message as the codec's frames had it, on channel 9. */
function message(body: Buffer, storage: 'lent' | 'lent-frames' | 'owned'): ContentMessage {
  const head = encodeHeader(body.length, { messageId: 'm' });
  const frames = publication(9, { routingKey: 'k' }, body.length === 0 ? [] : [body], { messageId: 'm' });
  const headerStart = frames.indexOf(head);
  const headerEnd = headerStart + head.length;
  const bodyStart = body.length === 0 ? headerEnd : headerEnd + 8;
  return new ContentMessage(
    'x',
    'k',
    frames,
    headerStart,
    headerEnd,
    bodyStart,
    bodyStart + body.length,
    storage,
  );
}

/** What should be on the wire for it. */
function delivery(channel: number, body: Buffer, maxFrameBytes: number): Buffer {
  const frames = [
    deliver(channel),
    frame(FRAME_HEADER, channel, encodeHeader(body.length, { messageId: 'm' })),
  ];
  for (let at = 0; at < body.length; at += maxFrameBytes - 8) {
    frames.push(frame(FRAME_BODY, channel, body.subarray(at, at + maxFrameBytes - 8)));
  }
  return Buffer.concat(frames);
}

describe('output', () => {
  it('is written once per turn of the loop, however much comes together', async () => {
    const { socket, output, sent, told } = setUp();
    const expected = [];
    for (let count = 0; count < 100; count++) {
      const one = methodFrame(1, 'basic.ack', { deliveryTag: count });
      output.frame(one);
      expected.push(one);
    }
    expect(socket.writes).toBe(0);
    await endOfTurn();
    expect(socket.writes).toBe(1);
    expect(told).toEqual(['flushing']);
    expect(sent().equals(Buffer.concat(expected))).toBe(true);
  });

  it('is written before the turn is over when there is much of it', async () => {
    const { socket, output, sent } = setUp();
    const one = message(Buffer.alloc(10_000), 'lent-frames');
    for (let count = 0; count < 100; count++) output.content(deliver(9), 9, one);
    expect(sent().length).toBeGreaterThan(1_000_000 - 2 * FLUSH_BYTES);
    expect(socket.writes).toBeLessThan(10);
    await endOfTurn();
    expect(sent().length).toBeGreaterThan(1_000_000);
  });

  it.each([0, 1, 4087, 4088, 4089, BY_REFERENCE_BYTES - 1, BY_REFERENCE_BYTES, 200_000])(
    'has a content of %d octets in frames that fit, however it lies in memory',
    async (size) => {
      for (const storage of ['lent', 'lent-frames', 'owned'] as const) {
        for (const maxFrameBytes of [4096, 131_072]) {
          const { output, sent } = setUp(maxFrameBytes);
          const body = Buffer.alloc(size, 'body');
          output.content(deliver(300), 300, message(body, storage));
          await endOfTurn();
          expect(sent().equals(delivery(300, body, maxFrameBytes)), `${storage} ${maxFrameBytes}`).toBe(true);
        }
      }
    },
  );

  it('does not copy a large body that stays where it is', async () => {
    const { output, socket } = setUp();
    const large = message(Buffer.alloc(100_000, 1), 'owned');
    socket.stop();
    output.content(deliver(1), 1, large);
    await endOfTurn();
    large.bytes.fill(2, large.bodyStart, large.bodyEnd);
    socket.go();
    expect(Buffer.concat(socket.taken).includes(Buffer.alloc(99_000, 2))).toBe(true);
  });

  it(`keeps its order and its octets whenever the socket is slow (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const { output, socket, sent, memory } = setUp(8192);
    const expected: Buffer[] = [];
    for (let step = 0; step < 3000; step++) {
      const choice = random.int(100);
      if (choice < 3) socket.stop();
      else if (choice < 8) socket.go();
      else if (choice < 20) await endOfTurn();
      else if (choice < 40) {
        const one = methodFrame(1, 'basic.ack', { deliveryTag: step });
        output.frame(one);
        expected.push(one);
      } else {
        const body = Buffer.alloc(random.int(random.int(4) === 0 ? 60_000 : 300), `${step} `);
        output.content(deliver(step), step, message(body, random.pick(['lent', 'lent-frames', 'owned'])));
        expected.push(delivery(step, body, 8192));
      }
    }
    socket.go();
    await endOfTurn();
    expect(sent().equals(Buffer.concat(expected))).toBe(true);
    expect(memory.bytes).toBe(0);
  });

  it('that the socket has not got rid of is booked, and released when the socket is gone', async () => {
    const { output, socket, memory } = setUp();
    socket.stop();
    output.content(deliver(1), 1, message(Buffer.alloc(100_000), 'owned'));
    await endOfTurn();
    expect(memory.bytes).toBeGreaterThan(100_000);
    output.close();
    expect(memory.bytes).toBe(0);
  });

  it('is congested above its limit, and says when it is no more', async () => {
    const { output, socket, told } = setUp();
    socket.stop();
    const one = message(Buffer.alloc(100_000), 'owned');
    for (let bytes = 0; bytes < MAX_CONSUMER_BACKLOG_BYTES; bytes += 100_000) {
      expect(output.congested).toBe(false);
      output.content(deliver(1), 1, one);
    }
    expect(output.congested).toBe(true);
    await endOfTurn();
    expect(output.congested).toBe(true);
    expect(told).not.toContain('relieved');
    socket.go();
    expect(told).toContain('relieved');
    expect(output.congested).toBe(false);
  });

  it('says nothing of relief to nobody who was told of congestion', async () => {
    const { output, socket, told } = setUp();
    socket.stop();
    output.content(deliver(1), 1, message(Buffer.alloc(2 * MAX_CONSUMER_BACKLOG_BYTES), 'owned'));
    await endOfTurn();
    socket.go();
    expect(told).toEqual(['flushing']);
  });

  it('is overloaded far above it, once', async () => {
    const { output, socket, told } = setUp();
    socket.stop();
    const one = message(Buffer.alloc(1_000_000), 'owned');
    for (let bytes = 0; bytes < 2 * MAX_BACKLOG_BYTES; bytes += 1_000_000) output.content(deliver(1), 1, one);
    await endOfTurn();
    expect(told.filter((event) => event === 'overloaded')).toHaveLength(1);
    socket.go();
    expect(told.at(-1)).toBe('relieved');
  });

  it('may be added to by whoever is told that the turn ends, and by whoever is relieved', async () => {
    const socket = new SlowSocket();
    const memory = new MemoryAccount({ limitBytes: 1e9, limitEntries: 1e9 });
    const output: Output = new Output(socket as unknown as Socket, 4096, new FlushTurn(), memory, {
      flushing: () => {
        if (socket.writes === 0) output.frame(methodFrame(2, 'basic.ack', { deliveryTag: 2 }));
      },
      overloaded: () => {},
      relieved: () => {},
    });
    output.frame(methodFrame(1, 'basic.ack', { deliveryTag: 1 }));
    await endOfTurn();
    expect(socket.writes).toBe(1);
    expect(Buffer.concat(socket.taken)).toEqual(
      Buffer.concat([
        methodFrame(1, 'basic.ack', { deliveryTag: 1 }),
        methodFrame(2, 'basic.ack', { deliveryTag: 2 }),
      ]),
    );
  });

  it('is whole frames also where memory runs short while it is written', async () => {
    const socket = new SlowSocket();
    const memory = new MemoryAccount({ limitBytes: 100_000, limitEntries: 1e9 });
    const owner = { flushing: () => {}, overloaded: () => {}, relieved: () => {} };
    const output = new Output(socket as unknown as Socket, 8192, new FlushTurn(), memory, owner);
    const blocked = methodFrame(0, 'connection.blocked');
    memory.onChange(() => output.frame(blocked));
    socket.stop();
    const body = Buffer.alloc(2 * FLUSH_BYTES, 7);
    output.content(deliver(1), 1, message(body, 'owned'));
    await endOfTurn();
    socket.go();
    await endOfTurn();
    const sent = Buffer.concat(socket.taken);
    const without = [];
    for (let at = 0; at < sent.length; ) {
      const next = sent.subarray(at, at + sent.readUInt32BE(at + 3) + 8);
      if (!next.equals(blocked)) without.push(next);
      at += next.length;
    }
    expect(Buffer.concat(without).equals(delivery(1, body, 8192))).toBe(true);
    expect(sent.includes(blocked)).toBe(true);
  });
});
