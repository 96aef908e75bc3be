import { describe, expect, it } from 'vitest';
import type { Properties } from '../../src/amqp-codec/index.js';
import { decodeProperties, encodeHeader } from '../../src/amqp-codec/index.js';
import { parseExpiration } from '../../src/amqp-gateway/expiration.js';
import { ContentMessage } from '../../src/amqp-gateway/message.js';

const BODY = Buffer.from('body');

function message(header: Properties | Buffer): ContentMessage {
  const head = Buffer.isBuffer(header) ? header : encodeHeader(BODY.length, header);
  const bytes = Buffer.concat([Buffer.alloc(3), head, BODY, Buffer.alloc(5)]);
  const cut = 3 + head.length;
  return new ContentMessage('x', 'k', bytes, 3, cut, cut, cut + BODY.length, 'lent');
}

function propertiesOf({ bytes, headerStart, headerEnd }: ContentMessage): Properties {
  return decodeProperties(bytes, headerStart, headerEnd);
}

describe('what the broker asks of a message', () => {
  it('is nothing where it has no properties', () => {
    const { bodyBytes, persistent, priority, expirationMs, alsoTo } = message({});
    expect({ bodyBytes, persistent, priority, expirationMs, alsoTo }).toEqual({
      bodyBytes: 4,
      persistent: false,
      priority: 0,
      expirationMs: undefined,
      alsoTo: undefined,
    });
  });

  it('is found among all combinations of other properties', () => {
    const others: Properties = {
      contentType: 'text/plain',
      contentEncoding: '',
      headers: { CC: ['a'], other: 'x'.repeat(300) },
      correlationId: 'c'.repeat(255),
      replyTo: 'r',
      messageId: 'm',
      timestamp: new Date(1_000_000),
      clusterId: 'c',
    };
    const names = Object.keys(others) as (keyof Properties)[];
    for (let combination = 0; combination < 2 ** names.length; combination++) {
      const chosen = names.filter((_, index) => (combination >> index) & 1);
      const properties = Object.fromEntries(chosen.map((name) => [name, others[name]]));
      const asked = message({ ...properties, deliveryMode: 2, priority: 7, expiration: '60000' });
      expect(asked).toMatchObject({ persistent: true, priority: 7, expirationMs: 60_000 });
      expect(asked.alsoTo).toEqual(chosen.includes('headers') ? ['a'] : undefined);
      expect(message({ ...properties, deliveryMode: 1 }).persistent).toBe(false);
    }
  });

  it.each<[string, Properties['headers'], readonly string[] | undefined]>([
    ['CC and BCC', { BCC: ['c'], CC: ['a', 'b'] }, ['a', 'b', 'c']],
    ['keys that are not all strings', { CC: [1, 'a', null, ['b']] }, ['a']],
    ['no keys at all', { CC: [] }, undefined],
    ['names that are similar', { cc: ['a'], ACC: ['b'], nested: { CC: ['c'] } }, undefined],
    ['another type', { CC: 'a' }, undefined],
  ])('are further keys in the headers CC and BCC: %s', (_, headers, expected) => {
    const asked = message({ headers: headers ?? {} });
    expect(asked.alsoTo).toEqual(expected);
    expect(asked.alsoTo).toBe(asked.alsoTo);
  });
});

describe('an expiration', () => {
  it.each([
    ['0', 0],
    ['60000', 60_000],
    ['00', 0],
    ['+5', 5],
    ['-0', -0],
    ['315360000000', 315_360_000_000],
  ])('%j is so many milliseconds', (text, expected) => {
    expect(parseExpiration(text)).toBe(expected);
  });

  it.each([
    ['', 'no_integer'],
    ['soon', 'no_integer'],
    [' 5', 'no_integer'],
    ['+', 'no_integer'],
    ['5 ', '{leftover_string," "}'],
    ['1.5', '{leftover_string,".5"}'],
    ['1"\\\n', '{leftover_string,"\\"\\\\\\n"}'],
    ['1é', '{leftover_string,"é"}'],
    ['1\u0001', '{leftover_string,[1]}'],
    ['-1', '{value_negative,-1}'],
    ['315360000001', '{value_too_large,315360000001}'],
    ['99999999999999999999', '{value_too_large,99999999999999999999}'],
  ])('%j is refused as RabbitMQ says it', (text, problem) => {
    expect(parseExpiration(text)).toEqual({ problem });
  });
});

describe('a message that is published anew', () => {
  const original = message({
    contentType: 'text/plain',
    headers: { CC: ['also'], kept: 1 },
    deliveryMode: 2,
    expiration: '60000',
    messageId: 'm',
  });

  it('has the same body and properties, other headers, and no expiration', () => {
    const headers = { kept: 1, 'x-death': [{ count: 1n, time: new Date(5000), queue: 'q' }] };
    const again = original.republished({ exchange: 'dlx', routingKey: 'dead', headers });
    expect(again).toMatchObject({ exchange: 'dlx', routingKey: 'dead', persistent: true, bodyBytes: 4 });
    expect(again.expirationMs).toBeUndefined();
    expect(again.headers()).toEqual(headers);
    expect(again.holders).toBe(0);
    expect(propertiesOf(again)).toEqual({
      contentType: 'text/plain',
      headers: { kept: 1, 'x-death': [{ count: 1, time: new Date(5000), queue: 'q' }] },
      deliveryMode: 2,
      messageId: 'm',
    });
    expect(again.bytes.subarray(again.bodyStart, again.bodyEnd)).toEqual(BODY);
    // int64, as RabbitMQ's counts: some clients insist on it.
    expect(again.bytes.includes(Buffer.from('\x05countl\0\0\0\0\0\0\0\x01', 'latin1'))).toBe(true);
  });

  it('keeps its further keys, gets others, or none', () => {
    const to = { exchange: 'dlx', routingKey: 'dead' };
    const headers = original.headers();
    expect(original.republished({ ...to, headers }).alsoTo).toEqual(['also']);
    expect(original.republished({ ...to, headers: { kept: 1 } }).alsoTo).toBeUndefined();
    expect(original.republished({ ...to, headers, alsoTo: ['blind'] }).alsoTo).toEqual(['blind']);
    expect(original.republished({ ...to, headers, alsoTo: undefined }).alsoTo).toBeUndefined();
  });

  it('needs no headers before or after', () => {
    const bare = message({ messageId: 'm' });
    const to = { exchange: 'dlx', routingKey: 'dead' };
    expect(propertiesOf(bare.republished({ ...to, headers: {} }))).toEqual({ messageId: 'm' });
    expect(propertiesOf(bare.republished({ ...to, headers: { a: 1 } }))).toEqual({
      messageId: 'm',
      headers: { a: 1 },
    });
  });

  it('keeps the octets of headers in types that only others use', () => {
    // x: int16 7; y: an array of one uint32.
    const table = Buffer.from('000000110178730007017941000000056900000001', 'hex');
    const head = encodeHeader(BODY.length, { headers: {} });
    const wide = message(Buffer.concat([head.subarray(0, -4), table]));
    const headers = wide.headers();
    expect(headers).toEqual({ x: 7, y: [1] });
    const again = wide.republished({ exchange: 'dlx', routingKey: 'k', headers: { ...headers, z: 1 } });
    const octets = again.bytes.toString('hex', again.headerStart, again.headerEnd);
    expect(octets).toContain('0178730007');
    expect(octets).toContain('017941000000056900000001');
    expect(again.republished({ exchange: 'x', routingKey: 'k', headers: again.headers() }).sizeBytes).toBe(
      again.sizeBytes,
    );
  });

  it('keeps the headers it had where more would be beyond the limits of a table', () => {
    let deep: Properties['headers'] = {};
    for (let depth = 1; depth < 32; depth++) deep = { deeper: deep };
    const before = message({ headers: deep });
    const headers = { ...before.headers(), moved: [before.headers()] };
    const again = before.republished({ exchange: 'dlx', routingKey: 'k', headers });
    expect(propertiesOf(again)).toEqual({ headers: deep });
    // Whoever routes it now still sees those it should have.
    expect(again.headers()).toBe(headers);
  });
});
