import { describe, expect, it } from 'vitest';
import type { Method } from '../../src/amqp-codec/index.js';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FrameParser } from '../../src/amqp-codec/index.js';
import { BODY_AHEAD_BYTES, MAX_CONTENT_BYTES, MAX_FRAME_BYTES } from '../../src/prototype-space/limits.js';
import { RelayDeliveries } from '../../src/prototype-space/relay-deliveries.js';
import { frame, methodFrame } from '../support/amqp-raw-client.js';
import { Random, seed } from '../support/random.js';
import type { Message } from './relay-point.js';
import { kept } from './relay-point.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** What a channel makes of octets that come in these chunks. */
class Receiver {
  readonly messages: Message[] = [];
  readonly methods: Method[] = [];
  /** How many contents were handed on where the socket had put them. */
  inPlace = 0;
  chunk: Buffer = Buffer.alloc(0);
  readonly #parser: FrameParser;

  constructor() {
    const deliveries = new RelayDeliveries(
      {
        method: (method) => this.methods.push(method),
        content: (content) => {
          if (content.bytes === this.chunk) this.inPlace++;
          this.messages.push(kept(content));
        },
      },
      this,
    );
    const sink = {
      frame: (type: number, _: number, bytes: Buffer, start: number, end: number) =>
        deliveries.frame(type, bytes, start, end),
    };
    this.#parser = new FrameParser(sink, MAX_FRAME_BYTES);
  }

  take(...chunks: readonly Buffer[]): this {
    for (const chunk of chunks) {
      // As sockets do: each chunk is in memory of its own.
      this.chunk = Buffer.from(chunk);
      this.#parser.parse(this.chunk);
    }
    return this;
  }
}

let tag = 0;

function deliver(routingKey: string, redelivered = false): Buffer {
  tag += 1;
  const fields = { consumerTag: 'r', deliveryTag: tag, redelivered, exchange: 'outlet', routingKey };
  return methodFrame(1, 'basic.deliver', fields);
}

function header(bodySize: number): Buffer {
  return encodeHeader(bodySize, {
    deliveryMode: 2,
    headers: { half: 0.5, text: 'ü', deep: { list: [1, true] } },
  });
}

function framed(routingKey: string, body: Buffer, frameBytes = MAX_FRAME_BYTES): Buffer {
  const parts = [deliver(routingKey), frame(FRAME_HEADER, 1, header(body.length))];
  for (let at = 0; at < body.length; at += frameBytes) {
    parts.push(frame(FRAME_BODY, 1, body.subarray(at, at + frameBytes)));
  }
  return Buffer.concat(parts);
}

function split(octets: Buffer, random: Random, longest: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; ) {
    const length = 1 + random.int(longest);
    chunks.push(octets.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

function randomBody(random: Random, length: number): Buffer {
  const body = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) body.writeUInt32LE(random.int(2 ** 32), at);
  return body;
}

describe('deliveries', () => {
  it(`keep every octet and their order, however they are cut into frames and chunks (SEED=${seed})`, () => {
    const random = new Random(seed);
    const sizes = [0, 1, 100, 4 * KIB, 0, 1, MIB, 100, 5 * MIB, 4 * KIB, 0];
    const sent = sizes.map((size, index) => ({
      routingKey: `key.${index % 3}`,
      header: header(size),
      body: randomBody(random, size),
    }));
    const octets = sent.map((message) =>
      framed(message.routingKey, message.body, 1 + random.int(MAX_FRAME_BYTES)),
    );
    for (const longest of [7, 300, 64 * KIB, 6 * MIB]) {
      // A chunk of a few octets each takes its time over millions of them.
      const some = longest < KIB ? sent.length - 5 : sent.length;
      const chunks = split(Buffer.concat(octets.slice(0, some)), random, longest);
      const { messages } = new Receiver().take(...chunks);
      expect(messages.length).toBe(some);
      for (const [index, message] of messages.entries()) {
        const { routingKey, header: head, body } = sent[index] as Message;
        expect([message.routingKey, head.equals(message.header), body.equals(message.body)]).toEqual([
          routingKey,
          true,
          true,
        ]);
      }
    }
  });

  it('are handed on where they lie when they lie in one chunk', () => {
    const bodies = ['', 'a', 'bc'].map((text) => framed('k', Buffer.from(text)));
    const receiver = new Receiver().take(Buffer.concat(bodies));
    expect(receiver.inPlace).toBe(3);
  });

  it.each([
    ['the routing key', ['a', 'b', 'a', '', 'ab', 'ü', 'ü', 'u.', 'k'.repeat(255), 'a']],
    ['nothing', ['a', 'a', 'a', 'a']],
  ])('are told apart when %s changes from one to the next', (_, keys) => {
    const { messages } = new Receiver().take(Buffer.concat(keys.map((key) => framed(key, Buffer.from(key)))));
    expect(messages.map(({ routingKey }) => routingKey)).toEqual(keys);
    expect(messages.map(({ body }) => body.toString())).toEqual(keys);
  });

  it('are the same when they are redelivered', () => {
    const octets = [deliver('k'), deliver('k', true)].map((method) => [
      method,
      frame(FRAME_HEADER, 1, header(0)),
    ]);
    const { messages } = new Receiver().take(Buffer.concat(octets.flat()));
    expect(messages.map(({ routingKey }) => routingKey)).toEqual(['k', 'k']);
  });

  it('do not get lost between methods', () => {
    const bound = methodFrame(1, 'queue.bind-ok');
    const receiver = new Receiver().take(
      Buffer.concat([framed('k', Buffer.from('1')), bound, framed('k', Buffer.from('2')), bound]),
    );
    expect(receiver.messages.map(({ body }) => body.toString())).toEqual(['1', '2']);
    expect(receiver.methods.map(({ name }) => name)).toEqual(['queue.bind-ok', 'queue.bind-ok']);
  });

  it('cost memory as they come, not as they are announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const receivers = Array.from({ length: 64 }, () =>
      new Receiver().take(
        deliver('k'),
        frame(FRAME_HEADER, 1, header(16 * MIB)),
        frame(FRAME_BODY, 1, Buffer.from('x')),
      ),
    );
    const grownBytes = process.memoryUsage().arrayBuffers - before;
    expect(grownBytes / receivers.length).toBeLessThan(2 * BODY_AHEAD_BYTES);
  });

  const body = frame(FRAME_BODY, 1, Buffer.from('1234'));
  const oversized = Buffer.from(header(0));
  oversized.writeUInt32BE(0x7fff_ffff, 4);
  it.each<[string, readonly Buffer[], RegExp]>([
    [
      'a header without a delivery',
      [frame(FRAME_HEADER, 1, header(4))],
      /type 2 where a method was expected/,
    ],
    ['a body without a delivery', [body], /type 3 where a method was expected/],
    ['a body in place of the header', [deliver('k'), body], /type 3 where a content header was expected/],
    ['a method in place of the header', [deliver('k'), deliver('k')], /type 1 where a content header/],
    ['a header that is cut off', [deliver('k'), frame(FRAME_HEADER, 1, header(4).subarray(0, 13))], /header/],
    [
      'a method in place of the body',
      [deliver('k'), frame(FRAME_HEADER, 1, header(4)), deliver('k')],
      /type 1 where a content body was expected/,
    ],
    [
      'more body than was announced',
      [deliver('k'), frame(FRAME_HEADER, 1, header(3)), body],
      /content body of 4 octets where 3 are missing/,
    ],
    [
      'a content above the limit',
      [deliver('k'), frame(FRAME_HEADER, 1, header(MAX_CONTENT_BYTES))],
      new RegExp(`the limit is ${MAX_CONTENT_BYTES}$`),
    ],
    ['a size that no number holds', [deliver('k'), frame(FRAME_HEADER, 1, oversized)], /the limit is/],
  ])('end with %s', (_, frames, text) => {
    const receiver = new Receiver();
    expect(() => receiver.take(...frames)).toThrow(text);
    expect(receiver.messages).toEqual([]);
  });
});
