import { describe, expect, it } from 'vitest';
import type { Properties } from '../../src/amqp-codec/index.js';
import { encodeHeader } from '../../src/amqp-codec/index.js';
import { contentFormat } from '../../src/amqp-gateway/index.js';
import { ContentMessage } from '../../src/amqp-gateway/message.js';
import { publication } from '../support/amqp-raw-client.js';
import { Random, seed } from '../support/random.js';

const PROPERTIES: Properties = {
  deliveryMode: 2,
  priority: 5,
  expiration: '60000',
  headers: { CC: ['also'], n: 1 },
};

/** As it came in: header and body in two frames of a larger buffer. */
function framed(body: string, properties: Properties = {}, exchange = 'x', routingKey = 'k'): ContentMessage {
  const bytes = publication(1, { exchange, routingKey }, [Buffer.from(body)], properties);
  const header = encodeHeader(Buffer.byteLength(body), properties);
  const start = bytes.indexOf(header);
  const end = start + header.length;
  const bodyStart = end + 8;
  const bodyEnd = bodyStart + Buffer.byteLength(body);
  return new ContentMessage(exchange, routingKey, bytes, start, end, bodyStart, bodyEnd, 'lent-frames');
}

const stored = (message: ContentMessage) => Buffer.concat(contentFormat.encode(message));
const restored = (octets: Buffer) => contentFormat.decode(octets) as ContentMessage;

function contentOf({ bytes, headerStart, headerEnd, bodyStart, bodyEnd }: ContentMessage): string {
  return bytes.toString('hex', headerStart, headerEnd) + bytes.toString('hex', bodyStart, bodyEnd);
}

describe('a message that was stored', () => {
  it.each([
    ['with everything', framed('body', PROPERTIES)],
    ['with nothing', framed('', {}, '', '')],
    ['with names of 255 octets', framed('b', {}, 'ä'.repeat(127), 'k'.repeat(255))],
    ['in memory of its own', framed('body', PROPERTIES).edited(new Map())],
  ])('%s is the same when it is read', (_, message) => {
    const copy = restored(stored(message));
    const { exchange, routingKey, sizeBytes, bodyBytes, persistent, priority, expirationMs, alsoTo } =
      message;
    expect(copy).toMatchObject({ exchange, routingKey, sizeBytes, bodyBytes, persistent, priority });
    expect(copy.expirationMs).toBe(expirationMs);
    expect(copy.alsoTo).toEqual(alsoTo);
    expect(copy.headers()).toEqual(message.headers());
    expect(contentOf(copy)).toBe(contentOf(message));
    expect(copy.owned).toBe(true);
  });

  it('remembers further keys that are in no header any more', () => {
    const message = framed('body');
    message.knownKeys = ['blind', 'ä'.repeat(300)];
    expect(restored(stored(message)).alsoTo).toEqual(['blind', 'ä'.repeat(300)]);
  });

  it('remembers that its header CC was to be ignored', () => {
    const message = framed('body', PROPERTIES);
    message.knownKeys = [];
    expect(restored(stored(message)).alsoTo).toBeUndefined();
  });

  it(`is refused where it was cut short or has grown (SEED=${seed})`, () => {
    const octets = stored(framed('body', PROPERTIES));
    for (let length = 0; length < octets.length; length++) {
      expect(() => restored(octets.subarray(0, length)), `${length} octets`).toThrow('not a stored message');
    }
    expect(() => restored(Buffer.concat([octets, Buffer.of(0)]))).toThrow('not a stored message');
    expect(() => restored(Buffer.concat([Buffer.of(9), octets.subarray(1)]))).toThrow('version 9');
    const random = new Random(seed);
    for (let times = 0; times < 2000; times++) {
      const damaged = Buffer.from(octets);
      damaged[random.int(damaged.length)] = random.int(256);
      try {
        const message = restored(damaged);
        // Whatever it says: asking it does no harm.
        message.headers();
        expect(message.bodyBytes).toBe(4);
        expect([message.persistent, message.priority, message.expirationMs, message.alsoTo]).toHaveLength(4);
      } catch (error) {
        expect((error as Error).message).toContain('not a stored message');
      }
    }
  });
});
