import { describe, expect, it } from 'vitest';
import { NOTED_TYPES } from '../../src/amqp-codec/field-table.js';
import type { Method, MethodArguments, MethodName } from '../../src/amqp-codec/index.js';
import { CodecError, decodeMethod, encodeMethod } from '../../src/amqp-codec/index.js';
import { METHODS } from '../../src/amqp-codec/methods.js';
import { Random, seed } from '../support/random.js';
import { octets } from './octets.js';
import { RandomValues } from './random-values.js';

const decoded = (bytes: Buffer) => decodeMethod(bytes, 0, bytes.length);

/** The name of a method can only be told from its arguments where both are written together. */
function literal<N extends MethodName>(name: N, args: MethodArguments<N>, hex: string) {
  return { name, hex, method: { name, arguments: args } as Method, encode: () => encodeMethod(name, args) };
}

/** queue.declare of the queue `q` with these arguments. */
const declareWith = (fields: string) => {
  const table = octets(fields);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(table.length);
  return decoded(Buffer.concat([octets('0032 000a 0000 01 71 00'), length, table]))
    .arguments as MethodArguments<'queue.declare'>;
};

const LITERALS = [
  literal(
    'connection.start',
    { versionMajor: 0, versionMinor: 9, serverProperties: { a: true }, mechanisms: 'PLAIN', locales: 'en' },
    '000a 000a 00 09 00000004 01 61 74 01 00000005 504c41494e 00000002 656e',
  ),
  literal(
    'connection.start-ok',
    { clientProperties: {}, mechanism: 'PLAIN', response: Buffer.from('\0g\0p'), locale: 'en' },
    '000a 000b 00000000 05 504c41494e 00000004 00670070 02 656e',
  ),
  literal(
    'connection.tune',
    { channelMax: 2047, frameMax: 131_072, heartbeat: 60 },
    '000a 001e 07ff 00020000 003c',
  ),
  literal('connection.open', { virtualHost: '/' }, '000a 0028 01 2f 00 00'),
  literal('connection.open-ok', {}, '000a 0029 00'),
  literal(
    'connection.close',
    { replyCode: 320, replyText: 'bye', classId: 60, methodId: 40 },
    '000a 0032 0140 03 627965 003c 0028',
  ),
  literal('connection.close-ok', {}, '000a 0033'),
  literal('connection.blocked', { reason: 'memory' }, '000a 003c 06 6d656d6f7279'),
  literal('channel.open', {}, '0014 000a 00'),
  literal('channel.open-ok', {}, '0014 000b 00000000'),
  literal('channel.flow', { active: true }, '0014 0014 01'),
  literal(
    'access.request',
    { realm: '/data', exclusive: false, passive: true, active: true, write: true, read: false },
    '001e 000a 05 2f64617461 0e',
  ),
  literal(
    'exchange.declare',
    {
      exchange: 'b',
      type: 'x-exchange',
      passive: false,
      durable: true,
      autoDelete: false,
      internal: true,
      noWait: false,
      arguments: { exchangespace: { space: 'market' } },
    },
    `0028 000a 0000 01 62 0a 782d65786368616e6765 0a
     00000024 0d 65786368616e67657370616365 46 00000011 05 7370616365 53 00000006 6d61726b6574`,
  ),
  literal(
    'exchange.unbind',
    { destination: 'd', source: 's', routingKey: 'k', noWait: true, arguments: {} },
    '0028 0028 0000 01 64 01 73 01 6b 01 00000000',
  ),
  literal('exchange.unbind-ok', {}, '0028 0033'),
  literal(
    'queue.declare',
    {
      queue: 'q',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      noWait: false,
      arguments: {},
    },
    '0032 000a 0000 01 71 0a 00000000',
  ),
  literal(
    'queue.declare-ok',
    { queue: 'q', messageCount: 4_294_967_295, consumerCount: 2 },
    '0032 000b 01 71 ffffffff 00000002',
  ),
  literal('basic.qos', { prefetchSize: 0, prefetchCount: 10, global: true }, '003c 000a 00000000 000a 01'),
  literal(
    'basic.consume',
    {
      queue: 'q',
      consumerTag: 't',
      noLocal: false,
      noAck: true,
      exclusive: false,
      noWait: true,
      arguments: {},
    },
    '003c 0014 0000 01 71 01 74 0a 00000000',
  ),
  literal(
    'basic.publish',
    { exchange: 'log', routingKey: 'é', mandatory: true, immediate: false },
    '003c 0028 0000 03 6c6f67 02 c3a9 01',
  ),
  literal(
    'basic.deliver',
    { consumerTag: 'c', deliveryTag: 2 ** 32 + 2, redelivered: true, exchange: '', routingKey: 'rk' },
    '003c 003c 01 63 0000000100000002 01 00 02 726b',
  ),
  literal('basic.get-empty', {}, '003c 0048 00'),
  literal('basic.ack', { deliveryTag: 1, multiple: false }, '003c 0050 0000000000000001 00'),
  literal('basic.nack', { deliveryTag: 1, multiple: true, requeue: true }, '003c 0078 0000000000000001 03'),
  literal('tx.select', {}, '005a 000a'),
  literal('confirm.select', { noWait: true }, '0055 000a 01'),
];

describe('methods', () => {
  it.each(LITERALS)('$name is encoded as the specification has it', ({ encode, hex }) => {
    expect(encode().toString('hex')).toBe(octets(hex).toString('hex'));
  });

  it.each(LITERALS)('$name is decoded from the octets of the specification', ({ method, hex }) => {
    expect(decoded(octets(hex))).toEqual(method);
  });

  it('are decoded from the given range of a buffer, whatever stands around it', () => {
    const bytes = octets('ffff 003c 0050 0000000000000001 01 ffff');
    const method = { name: 'basic.ack', arguments: { deliveryTag: 1, multiple: true } };
    expect(decodeMethod(bytes, 2, bytes.length - 2)).toEqual(method);
  });

  it('have ids of their own', () => {
    const ids = Object.values(METHODS).map(([classId, methodId]) => `${classId}.${methodId}`);
    expect(new Set(ids).size).toBe(66);
  });

  it('ignore what reserved arguments say', () => {
    const open = octets('000a 0028 01 2f 03 616263 01');
    expect(decoded(open)).toEqual({ name: 'connection.open', arguments: { virtualHost: '/' } });
  });

  it('ignore the bits of an octet that no argument has', () => {
    expect(decoded(octets('0014 0014 fe'))).toEqual({ name: 'channel.flow', arguments: { active: false } });
  });

  it('hand out opaque octets as a copy, since the frame is only lent', () => {
    const bytes = octets('000a 0015 00000002 6869');
    const method = decoded(bytes);
    bytes.fill(0);
    expect(method).toEqual({ name: 'connection.secure-ok', arguments: { response: Buffer.from('hi') } });
  });

  it('take a 64-bit integer above 2^53 as the nearest number', () => {
    const ack = octets('003c 0050 ffffffffffffffff 00');
    expect(decoded(ack)).toEqual({ name: 'basic.ack', arguments: { deliveryTag: 2 ** 64, multiple: false } });
  });
});

describe(`methods with random arguments (SEED=${seed})`, () => {
  const names = Object.keys(METHODS) as MethodName[];

  it.each(names)('%s comes back as it went', (name) => {
    const values = new RandomValues(new Random(seed));
    for (let round = 0; round < 50; round++) {
      const method = { name, arguments: values.arguments(name) } as Method;
      expect(decoded(encodeMethod(name, method.arguments as never))).toEqual(method);
    }
  });

  it.each(names)('%s is refused with an octet missing or one too many', (name) => {
    const bytes = encodeMethod(name, new RandomValues(new Random(seed)).arguments(name) as never);
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    const refused = expect.objectContaining({ code: 'syntax-error' });
    expect(() => decodeMethod(bytes, 0, bytes.length - 1)).toThrow(refused);
    expect(() => decoded(longer)).toThrow(refused);
  });
});

describe('errors of methods', () => {
  it('say that a method is unknown', () => {
    const text = 'no method 60.41';
    expect(() => decoded(octets('003c 0029'))).toThrow(new CodecError('command-invalid', text));
  });

  it('name the argument, as the specification spells it, that exceeds the frame', () => {
    const publish = octets('003c 0028 0000 03 6c6f67 09 6b');
    const text = '9 octets expected, 1 left';
    const error = new CodecError('syntax-error', text, 'basic.publish routing-key');
    expect(() => decoded(publish)).toThrow(error);
  });

  it('name the place in a table where a value has an unknown type', () => {
    const declare = octets('0032 000a 0000 01 71 00 0000000a 01 61 46 00000003 01 62 00');
    const text = 'no field type has the octet 0';
    const error = new CodecError('syntax-error', text, 'queue.declare arguments.a.b');
    expect(() => decoded(declare)).toThrow(error);
  });

  it('refuse octets that are not UTF-8 in a short string', () => {
    const publish = octets('003c 0028 0000 00 01 ff 00');
    expect(() => decoded(publish)).toThrow(
      new CodecError('syntax-error', 'Malformed UTF-8 in shortstr', 'basic.publish routing-key'),
    );
  });

  it.each([
    ['a'.repeat(256), 'one character too many'],
    ['é'.repeat(128), 'few characters, many octets'],
  ])('refuse to encode a short string of 256 octets: %#', (exchange) => {
    const args = { exchange, routingKey: '', mandatory: false, immediate: false };
    const error = new CodecError('unencodable', 'more than 255 octets', 'basic.publish exchange');
    expect(() => encodeMethod('basic.publish', args)).toThrow(error);
  });

  it.each([-1, 0x1_0000, 0.5, Number.NaN])('refuse to encode %d as a 16-bit integer', (prefetchCount) => {
    const args = { prefetchSize: 0, prefetchCount, global: false };
    expect(() => encodeMethod('basic.qos', args)).toThrow(/^basic\.qos prefetch-count: .* 0 to 65535/);
  });

  it.each([-1, 2 ** 53])('refuse to encode %d as a delivery tag', (deliveryTag) => {
    expect(() => encodeMethod('basic.ack', { deliveryTag, multiple: false })).toThrow(
      /^basic\.ack delivery-tag/,
    );
  });

  it('leave no trace in what is encoded next', () => {
    const args = { exchange: 'a'.repeat(256), routingKey: '', mandatory: false, immediate: false };
    expect(() => encodeMethod('basic.publish', args)).toThrow(CodecError);
    expect(encodeMethod('tx.select', {}).toString('hex')).toBe('005a000a');
  });
});

describe('the arguments of a method', () => {
  const typesIn = (table: object) =>
    Reflect.get(table, NOTED_TYPES) as ReadonlyMap<string, string> | undefined;

  it.each([
    ['byte', '62 05'],
    ['unsignedbyte', '42 05'],
    ['short', '73 0005'],
    ['unsignedshort', '75 0005'],
    ['unsignedint', '69 00000005'],
    ['long', '6c 0000000000000005'],
    ['long', '4c 0000000000000005'],
    ['float', '66 40a00000'],
    ['double', '64 4014000000000000'],
  ])('note that a number is a %s', (type, hex) => {
    const { arguments: table } = declareWith(`01 61 ${hex} 01 62 49 00000005 01 63 53 00000000`);
    expect(table).toEqual({ a: 5, b: 5, c: '' });
    expect([...(typesIn(table) ?? [])]).toEqual([['a', type]]);
  });

  it('note nothing where the values tell their types', () => {
    const { arguments: table } = declareWith('01 61 49 00000005 01 62 74 01 01 63 56');
    expect(typesIn(table)).toBeUndefined();
  });

  it('note the type of the last of several fields of one name', () => {
    expect(typesIn(declareWith('01 61 62 05 01 61 64 4014000000000000').arguments)).toEqual(
      new Map([['a', 'double']]),
    );
    expect(typesIn(declareWith('01 61 62 05 01 61 49 00000005').arguments)?.size ?? 0).toBe(0);
  });
});
