import { describe, expect, it } from 'vitest';
import { CodecError, decodeProperties, encodeHeader } from '../../src/amqp-codec/index.js';
import { ContentMessage, leavingMessage, remoteMessage } from '../../src/amqp-gateway/message.js';
import { publication } from '../support/amqp-raw-client.js';

const header = encodeHeader(4, { headers: { kind: 'bid' }, userId: 'bob', messageId: '1' });

/** A content somewhere in a larger buffer. */
function lentContent(head: Buffer = header, body: Buffer = Buffer.from('body'), routingKey = 'k') {
  const bytes = Buffer.concat([Buffer.alloc(5, 1), head, Buffer.alloc(3, 2), body, Buffer.alloc(7, 3)]);
  const headerEnd = 5 + head.length;
  const bodyStart = headerEnd + 3;
  return { routingKey, bytes, headerStart: 5, headerEnd, bodyStart, bodyEnd: bodyStart + body.length };
}

function partsOf(message: ContentMessage) {
  return {
    header: message.bytes.subarray(message.headerStart, message.headerEnd),
    body: message.bytes.subarray(message.bodyStart, message.bodyEnd).toString(),
  };
}

describe('a message', () => {
  it('that was lent keeps its content when it is retained, once', () => {
    const { bytes, headerStart, headerEnd, bodyStart, bodyEnd } = lentContent();
    const message = new ContentMessage('x', 'k', bytes, headerStart, headerEnd, bodyStart, bodyEnd, 'lent');
    expect(message.owned).toBe(false);
    message.retain();
    const kept = message.bytes;
    bytes.fill(0);
    expect(partsOf(message)).toEqual({ header, body: 'body' });
    expect(message.owned).toBe(true);
    message.retain();
    expect(message.bytes).toBe(kept);
    expect(message.sizeBytes).toBe(header.length + 4);
  });

  it('that came in frames keeps those, so that they can be sent on', () => {
    const frames = publication(1, { routingKey: 'k' }, [Buffer.from('body')], { messageId: '1' });
    const head = encodeHeader(4, { messageId: '1' });
    const headerStart = frames.indexOf(head);
    const headerEnd = headerStart + head.length;
    const bytes = Buffer.from(frames);
    const message = new ContentMessage(
      'x',
      'k',
      bytes,
      headerStart,
      headerEnd,
      headerEnd + 8,
      headerEnd + 12,
      'lent-frames',
    );
    message.retain();
    bytes.fill(0);
    expect(message.framed).toBe(true);
    const around = message.bytes.subarray(message.headerStart - 7, message.bodyEnd + 1);
    expect(around).toEqual(frames.subarray(headerStart - 7));
  });

  it('is not copied when it is owned already', () => {
    const bytes = Buffer.concat([header, Buffer.from('body')]);
    const message = new ContentMessage(
      'x',
      'k',
      bytes,
      0,
      header.length,
      header.length,
      bytes.length,
      'owned',
    );
    message.retain();
    expect(message.bytes).toBe(bytes);
  });

  it('has its headers decoded when somebody asks for them', () => {
    const { bytes, headerStart, headerEnd, bodyStart, bodyEnd } = lentContent();
    const message = new ContentMessage('x', 'k', bytes, headerStart, headerEnd, bodyStart, bodyEnd, 'lent');
    expect(message.headers()).toEqual({ kind: 'bid' });
    expect(message.headers()).toBe(message.headers());
  });

  it('without headers has an empty table of them', () => {
    const { bytes, headerStart, headerEnd, bodyStart, bodyEnd } = lentContent(encodeHeader(4, {}));
    const message = new ContentMessage('x', 'k', bytes, headerStart, headerEnd, bodyStart, bodyEnd, 'lent');
    expect(message.headers()).toEqual({});
  });
});

describe('a message of another node', () => {
  it('of another node goes by the keys of CC too, unless nobody has checked them', () => {
    const content = lentContent(encodeHeader(4, { headers: { CC: ['copy'] } }));
    expect(remoteMessage(content, 'alias').alsoTo).toEqual(['copy']);
    expect(remoteMessage({ ...content, keyAlone: true }, 'alias').alsoTo).toBeUndefined();
  });

  it('is published to the alias, under its routing key and without user-id', () => {
    const message = remoteMessage(lentContent(), 'alias');
    expect(message.exchange).toBe('alias');
    expect(message.routingKey).toBe('k');
    expect(partsOf(message).body).toBe('body');
    const properties = decodeProperties(message.bytes, message.headerStart, message.headerEnd);
    expect(properties).toEqual({ headers: { kind: 'bid' }, messageId: '1' });
  });

  it('is not copied where it has no user-id, until it is retained', () => {
    const content = lentContent(encodeHeader(4, { messageId: '1' }));
    const message = remoteMessage(content, 'alias');
    expect(message.bytes).toBe(content.bytes);
    message.retain();
    expect(message.bytes).not.toBe(content.bytes);
  });

  it('may come in any Uint8Array', () => {
    const content = lentContent(encodeHeader(4, {}));
    const plain = new Uint8Array(content.bytes.length + 9);
    plain.set(content.bytes, 9);
    expect(partsOf(remoteMessage({ ...content, bytes: plain.subarray(9) }, 'alias')).body).toBe('body');
  });

  it.each([
    ['whose header is none', lentContent(Buffer.from([0, 60, 0, 0, 1]))],
    ['of another class', lentContent(Buffer.concat([Buffer.from([0, 50]), header.subarray(2)]))],
    ['whose body has another size than its header says', lentContent(header, Buffer.from('bodies'))],
    ['whose routing key is too long for AMQP', lentContent(header, Buffer.from('body'), 'ä'.repeat(128))],
  ])('%s is refused', (_, content) => {
    expect(() => remoteMessage(content, 'alias')).toThrow(CodecError);
  });
});

describe('a message that leaves the node', () => {
  function published(properties: Parameters<typeof encodeHeader>[1]) {
    const { bytes, headerStart, headerEnd, bodyStart, bodyEnd } = lentContent(encodeHeader(4, properties));
    return new ContentMessage('alias', 'k', bytes, headerStart, headerEnd, bodyStart, bodyEnd, 'lent');
  }

  it('is the very message that was published, where that has no user-id', () => {
    const message = published({ messageId: '1' });
    expect(leavingMessage(message, 'outlet')).toBe(message);
  });

  it('has no user-id, and the keys that it is routed by', () => {
    const message = published({ messageId: '1', userId: 'bob', headers: { CC: ['c'] } });
    message.knownKeys = ['c', 'of BCC'];
    const leaving = leavingMessage(message, 'outlet');
    const properties = decodeProperties(leaving.bytes, leaving.headerStart, leaving.headerEnd);
    expect(properties).toEqual({ messageId: '1', headers: { CC: ['c'] } });
    expect(leaving.alsoTo).toEqual(['c', 'of BCC']);
    expect(partsOf(leaving).body).toBe('body');
    expect(message.shortString('userId')).toBe('bob');
  });

  it('that is none of the gateway is taken as one of another node', () => {
    const leaving = leavingMessage({ ...lentContent(), headers: () => ({}) }, 'outlet');
    expect(leaving.exchange).toBe('outlet');
    expect(leaving.shortString('userId')).toBeUndefined();
    const bad = { ...lentContent(Buffer.from([0, 60, 0, 0, 1])), headers: () => ({}) };
    expect(() => leavingMessage(bad, 'outlet')).toThrow(CodecError);
  });
});
