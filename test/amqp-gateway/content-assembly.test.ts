import { describe, expect, it } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../../src/amqp-codec/index.js';
import { ContentAssembly } from '../../src/amqp-gateway/content-assembly.js';
import type { ContentMessage } from '../../src/amqp-gateway/message.js';
import { MemoryAccount } from '../../src/broker/index.js';
import { methodFrame, publication } from '../support/amqp-raw-client.js';

function setUp() {
  const memory = new MemoryAccount({ limitBytes: 1e9, limitEntries: 1e9 });
  const reading: { chunk: Buffer } = { chunk: Buffer.alloc(0) };
  const messages: ContentMessage[] = [];
  const sink = {
    method: () => {},
    content: (_: unknown, message: ContentMessage) => messages.push(message),
  };
  const assembly = new ContentAssembly(sink, reading, memory, 1e6);
  /** Hands over the frames in some octets; `lent` ones are overwritten behind each frame. */
  const feed = (octets: Buffer, lent: boolean) => {
    reading.chunk = lent ? Buffer.alloc(0) : octets;
    for (let at = 0; at < octets.length; ) {
      const end = at + 7 + octets.readUInt32BE(at + 3);
      assembly.frame(octets.readUInt8(at), octets, at + 7, end);
      if (lent) octets.fill(0xaa, at + 7, end);
      at = end + 1;
    }
  };
  return { memory, messages, reading, assembly, feed };
}

function bodyOf(message: ContentMessage | undefined): string | undefined {
  return message?.bytes.toString('utf8', message.bodyStart, message.bodyEnd);
}

describe('a content', () => {
  it('that lies in one chunk is not copied', () => {
    const { messages, feed } = setUp();
    const octets = publication(1, { routingKey: 'k' }, [Buffer.from('body')]);
    feed(octets, false);
    expect(messages[0]?.bytes).toBe(octets);
    expect(messages[0]?.framed).toBe(true);
    expect(messages[0]?.owned).toBe(false);
  });

  it.each([[['body']], [['bo', 'dy']], [[]]])(
    'in parts %j is complete where every frame was only lent',
    (parts) => {
      const { messages, feed, memory } = setUp();
      feed(
        publication(
          1,
          { routingKey: 'k' },
          parts.map((part) => Buffer.from(part)),
          { messageId: 'm' },
        ),
        true,
      );
      const message = messages[0];
      expect(bodyOf(message)).toBe(parts.join(''));
      const header = encodeHeader(parts.join('').length, { messageId: 'm' });
      expect(message?.bytes.subarray(message.headerStart, message.headerEnd)).toEqual(header);
      expect(memory.bytes).toBe(0);
    },
  );

  it('in one chunk with frames of other channels in between is not copied, and not sent on in one piece', () => {
    const { messages, assembly, reading } = setUp();
    const header = encodeHeader(4, {});
    const chunk = Buffer.concat([header, Buffer.alloc(20), Buffer.from('body')]);
    const publish = methodFrame(1, 'basic.publish', {}).subarray(7, -1);
    assembly.frame(FRAME_METHOD, publish, 0, publish.length);
    reading.chunk = chunk;
    assembly.frame(FRAME_HEADER, chunk, 0, header.length);
    assembly.frame(FRAME_BODY, chunk, header.length + 20, chunk.length);
    expect(bodyOf(messages[0])).toBe('body');
    expect(messages[0]?.bytes).toBe(chunk);
    expect(messages[0]?.framed).toBe(false);
  });

  it('that is given up costs nothing any more', () => {
    const { memory, assembly, feed } = setUp();
    const octets = publication(1, { routingKey: 'k' }, [Buffer.alloc(1000), Buffer.alloc(1000)]);
    feed(octets.subarray(0, octets.length - 1008), true);
    expect(memory.bytes).toBeGreaterThan(1000);
    assembly.abandon();
    expect(memory.bytes).toBe(0);
  });
});
