import { describe, expect, it } from 'vitest';
import type { MethodName } from '../../src/amqp-codec/index.js';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../../src/amqp-codec/index.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';

const header = (bodySize: number) => frame(FRAME_HEADER, 1, encodeHeader(bodySize, {}));
const body = (octets: string) => frame(FRAME_BODY, 1, Buffer.from(octets));
const method = (...octets: number[]) => frame(FRAME_METHOD, 1, Buffer.from(octets));
const publish = methodFrame(1, 'basic.publish', { routingKey: 'q' });
const NOTHING = Buffer.alloc(0);

const noProperties = { clientProperties: {}, mechanism: 'PLAIN', response: NOTHING };
const noTuning = { channelMax: 0, frameMax: 0, heartbeat: 0 };

/** What the client does, what it sends, the reply text, and class and method that the reply is about. */
type Row = readonly [what: string, octets: readonly Buffer[], text: string, about: readonly [number, number]];

const CODES = {
  FRAME_ERROR: 501,
  SYNTAX_ERROR: 502,
  COMMAND_INVALID: 503,
  CHANNEL_ERROR: 504,
  UNEXPECTED_FRAME: 505,
  NOT_ALLOWED: 530,
  NOT_IMPLEMENTED: 540,
};

const NO_METHOD: readonly [number, number] = [0, 0];
const PUBLISH: readonly [number, number] = [60, 40];
const RUNNING = 'CHANNEL_ERROR - unexpected method in connection state running';
const UNIMPLEMENTED = 'COMMAND_INVALID - unimplemented method';

const FRAMES: readonly Row[] = [
  [
    'a frame end that is none',
    [Buffer.from([1, 0, 1, 0, 0, 0, 4, 0, 90, 0, 10, 0])],
    'FRAME_ERROR - type 1, all octets = <<0,90,0,10>>: {invalid_frame_end_marker,0}',
    NO_METHOD,
  ],
  [
    'an unknown frame type on a channel',
    [frame(4, 1, NOTHING)],
    'FRAME_ERROR - type 4, all octets = <<>>: unknown_frame',
    NO_METHOD,
  ],
  [
    'an unknown frame type with a text',
    [frame(9, 0, Buffer.from('say "abc"'))],
    'FRAME_ERROR - type 9, all octets = <<"say \\"abc\\"">>: unknown_frame',
    NO_METHOD,
  ],
  [
    'an unknown frame type with a long payload',
    [frame(9, 0, Buffer.alloc(17, 1))],
    'FRAME_ERROR - type 9, first 16 octets = <<1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1>>: unknown_frame',
    NO_METHOD,
  ],
  [
    'a frame above frame-max',
    [Buffer.from([3, 0, 1, 0x7f, 0xff, 0xff, 0xff])],
    'FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,2147483647,131064}',
    NO_METHOD,
  ],
  [
    'a heartbeat on a channel',
    [frame(8, 1, NOTHING)],
    'UNEXPECTED_FRAME - type 8, all octets = <<>>',
    NO_METHOD,
  ],
  [
    'a heartbeat with a payload',
    [frame(8, 0, Buffer.from('x'))],
    'FRAME_ERROR - type 8, all octets = <<"x">>: unknown_frame',
    NO_METHOD,
  ],
  [
    'a method frame without a method',
    [method(0, 0)],
    'FRAME_ERROR - type 1, all octets = <<0,0>>: unknown_frame',
    NO_METHOD,
  ],
  [
    'content on channel 0',
    [frame(FRAME_BODY, 0, Buffer.from('xyz'))],
    'UNEXPECTED_FRAME - type 3, all octets = <<"xyz">>',
    NO_METHOD,
  ],
  [
    'content on a channel that is not open',
    [frame(FRAME_BODY, 9, Buffer.from('x'))],
    'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    NO_METHOD,
  ],
  [
    'a field beyond its frame',
    [method(0, 50, 0, 10, 0, 0, 9, 65)],
    'FRAME_ERROR - cannot decode <<0,0,9,65>>',
    [50, 10],
  ],
  [
    'a name that is not UTF-8',
    [method(0, 50, 0, 10, 0, 0, 2, 0xff, 0xfe, 2, 0, 0, 0, 0)],
    'FRAME_ERROR - Malformed UTF-8 in shortstr',
    NO_METHOD,
  ],
  ['octets behind the arguments', [method(0, 90, 0, 10, 1)], 'FRAME_ERROR - cannot decode <<1>>', [90, 10]],
  ['a method that is none', [method(0, 60, 3, 231)], 'COMMAND_INVALID - no method 60.999', [60, 999]],
];

const CONTENT: readonly Row[] = [
  [
    'a header without a method',
    [methodFrame(1, 'basic.qos'), header(1)],
    'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    NO_METHOD,
  ],
  [
    'a body without a header',
    [publish, body('x')],
    'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    PUBLISH,
  ],
  [
    'a method where a header is due',
    [publish, publish],
    'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    PUBLISH,
  ],
  [
    'a header of another class',
    [publish, frame(FRAME_HEADER, 1, Buffer.from([0, 50, ...new Uint8Array(12)]))],
    'UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead',
    PUBLISH,
  ],
  [
    'a header with a weight',
    [publish, frame(FRAME_HEADER, 1, Buffer.from([0, 60, 0, 1, ...new Uint8Array(10)]))],
    'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    PUBLISH,
  ],
  [
    'a header that is cut short',
    [publish, frame(FRAME_HEADER, 1, Buffer.from([0, 60, 0]))],
    'FRAME_ERROR - type 2, all octets = <<0,60,0>>: unknown_frame',
    NO_METHOD,
  ],
  [
    'properties that are cut short',
    [publish, frame(FRAME_HEADER, 1, Buffer.from([0, 60, ...new Uint8Array(10), 0x80, 0, 9, 65]))],
    'SYNTAX_ERROR - contentType: 9 octets expected, 1 left',
    PUBLISH,
  ],
  [
    'a method where a body is due',
    [publish, header(2), publish],
    'UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    PUBLISH,
  ],
  [
    'a header where a body is due',
    [publish, header(2), header(2)],
    'UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    PUBLISH,
  ],
  [
    'a heartbeat on the channel where a body is due',
    [publish, header(2), frame(8, 1, NOTHING)],
    'UNEXPECTED_FRAME - type 8, all octets = <<>>',
    NO_METHOD,
  ],
  [
    'a body beyond its size',
    [publish, header(2), body('x'), body('xx')],
    'UNEXPECTED_FRAME - content body of 2 octets where 1 are missing',
    PUBLISH,
  ],
];

const STATES: readonly Row[] = [
  ['connection.open once more', [methodFrame(0, 'connection.open')], RUNNING, [10, 40]],
  ['connection.start-ok once more', [methodFrame(0, 'connection.start-ok', noProperties)], RUNNING, [10, 11]],
  ['connection.tune-ok once more', [methodFrame(0, 'connection.tune-ok', noTuning)], RUNNING, [10, 31]],
  [
    'connection.secure-ok, which nobody asked for',
    [methodFrame(0, 'connection.secure-ok', { response: NOTHING })],
    RUNNING,
    [10, 21],
  ],
  ['connection.close-ok without a close', [methodFrame(0, 'connection.close-ok')], RUNNING, [10, 51]],
  ['connection.blocked from a client', [methodFrame(0, 'connection.blocked')], RUNNING, [10, 60]],
  ['channel.open on channel 0', [methodFrame(0, 'channel.open')], RUNNING, [20, 10]],
  ['a method of another class on channel 0', [methodFrame(0, 'queue.purge')], RUNNING, [50, 30]],
  ['connection.open on a channel', [methodFrame(1, 'connection.open')], UNIMPLEMENTED, [10, 40]],
  ['channel.close-ok on an open channel', [methodFrame(1, 'channel.close-ok')], UNIMPLEMENTED, [20, 41]],
  ['channel.flow-ok, which nobody asked for', [methodFrame(1, 'channel.flow-ok')], UNIMPLEMENTED, [20, 21]],
  [
    'a channel opened twice',
    [methodFrame(1, 'channel.open')],
    "CHANNEL_ERROR - second 'channel.open' seen",
    [20, 10],
  ],
  [
    'a method on a channel that is not open',
    [methodFrame(9, 'tx.select')],
    "CHANNEL_ERROR - expected 'channel.open'",
    [90, 10],
  ],
  [
    'channel.close on a channel that is not open',
    [methodFrame(9, 'channel.close')],
    "CHANNEL_ERROR - expected 'channel.open'",
    [20, 40],
  ],
  [
    'channel.flow that stops deliveries',
    [methodFrame(1, 'channel.flow', { active: false })],
    'NOT_IMPLEMENTED - active=false',
    [20, 20],
  ],
  [
    'a prefetch-size',
    [methodFrame(1, 'basic.qos', { prefetchSize: 7 })],
    'NOT_IMPLEMENTED - prefetch_size!=0 (7)',
    [60, 10],
  ],
  [
    'basic.recover to the same consumer',
    [methodFrame(1, 'basic.recover')],
    'NOT_IMPLEMENTED - requeue=false',
    [60, 110],
  ],
  [
    'immediate publishing',
    [publication(1, { routingKey: 'q', immediate: true }, [])],
    'NOT_IMPLEMENTED - immediate=true',
    PUBLISH,
  ],
];

/** Methods that only servers send. */
const OF_SERVERS: readonly MethodName[] = [
  'channel.open-ok',
  'exchange.declare-ok',
  'queue.declare-ok',
  'basic.qos-ok',
  'basic.cancel-ok',
  'basic.get-empty',
  'basic.recover-ok',
  'tx.select-ok',
  'confirm.select-ok',
];

/** Those of them that have content. */
const WITH_CONTENT: readonly MethodName[] = ['basic.deliver', 'basic.return', 'basic.get-ok'];

async function expectClose(octets: readonly Buffer[], text: string, about: readonly number[]): Promise<void> {
  const { rawChannel, connect, gateway } = await startGateway();
  const bystander = await (await connect()).createChannel();
  const client = await rawChannel();
  client.send(...octets);
  const [condition] = text.split(' - ');
  let next = await client.next();
  if (next.type === 'method' && next.name === 'basic.qos-ok') next = await client.next();
  expect(next).toMatchObject({
    name: 'connection.close',
    channel: 0,
    arguments: {
      replyCode: CODES[condition as keyof typeof CODES],
      replyText: text,
      classId: about[0],
      methodId: about[1],
    },
  });
  client.sendMethod(0, 'connection.close-ok');
  await client.ended();
  await bystander.assertQueue('', { exclusive: true });
  expect(gateway.status()).toMatchObject({ connections: 1, channels: 1 });
}

describe('a connection is closed, and no other, with the code and the text that RabbitMQ has', () => {
  it.each(FRAMES)('for %s', async (_, octets, text, about) => {
    await expectClose(octets, text, about);
  });

  it.each(CONTENT)('for content with %s', async (_, octets, text, about) => {
    await expectClose(octets, text, about);
  });

  it.each(STATES)('for %s', async (_, octets, text, about) => {
    await expectClose(octets, text, about);
  });

  it.each(OF_SERVERS)('for %s from a client', async (name) => {
    const octets = methodFrame(1, name);
    await expectClose([octets], UNIMPLEMENTED, [octets.readUInt16BE(7), octets.readUInt16BE(9)]);
  });

  it.each(WITH_CONTENT)('for %s from a client, when its content has come', async (name) => {
    const octets = methodFrame(1, name);
    const about = [octets.readUInt16BE(7), octets.readUInt16BE(9)];
    await expectClose([octets, header(2), body('x'), body('y')], UNIMPLEMENTED, about);
    await expectClose([octets, header(0)], UNIMPLEMENTED, about);
    const text =
      'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead';
    await expectClose([octets, octets], text, about);
    const bodyText = 'UNEXPECTED_FRAME - expected content body, got non content body frame instead';
    await expectClose([octets, header(1), octets], bodyText, about);
  });
});

describe('a channel that this side has closed', () => {
  it('is not open again before the client has confirmed that', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.purge', { queue: 'none' }, 'channel.close');
    expect(await client.call('channel.open', {}, 'connection.close')).toMatchObject({
      replyCode: 504,
      replyText: "CHANNEL_ERROR - second 'channel.open' seen",
      classId: 20,
      methodId: 10,
    });
  });

  it('discards what was under way, and is open again after close-ok', async () => {
    const client = await (await startGateway()).rawChannel();
    await client.call('queue.purge', { queue: 'none' }, 'channel.close');
    client.send(methodFrame(1, 'tx.select'), publication(1, { exchange: 'none' }, [Buffer.from('x')]));
    client.sendMethod(1, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
  });
});
