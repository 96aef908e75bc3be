import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT } from '../../src/amqp-codec/index.js';
import {
  MAX_CONTENT_BYTES,
  MAX_FRAME_BYTES,
  MAX_UNSENT_BYTES,
  RELAY_ANSWER_TIMEOUT_MS,
  RELAY_CLOSE_TIMEOUT_MS,
} from '../../src/prototype-space/limits.js';
import { frame, methodFrame, stuck } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { dial, message, open, openChannel, REPLY } from './relay-dialling.js';
import { FakeBroker } from './relay-fake-broker.js';
import { kept } from './relay-point.js';

afterEach(() => {
  vi.useRealTimers();
});

describe('a connection', () => {
  it('that the broker closes ends with its code and text', async () => {
    const { broker, client, ends } = await open();
    const replyText = 'CONNECTION_FORCED - broker forced connection closure';
    client.sendMethod(0, 'connection.close', { replyCode: 320, replyText, ...REPLY });
    await client.expect('connection.close-ok');
    await client.ended();
    expect(ends).toEqual([`${broker.where}: the connection was closed: 320 ${replyText}`]);
  });

  const oversized = frame(FRAME_BODY, 1, Buffer.alloc(MAX_FRAME_BYTES + 1));
  it.each<[string, Buffer, RegExp]>([
    ['garbage', Buffer.from('garbage, and more of it'), /not AMQP 0-9-1: type 103/],
    ['a frame that is too large', oversized, /not AMQP 0-9-1: type 3.*frame_too_large/],
    ['a frame without its end', Buffer.alloc(16, 1), /not AMQP 0-9-1/],
    [
      'a frame of a channel that is not open',
      methodFrame(7, 'channel.open-ok'),
      /channel 7, which is not open/,
    ],
    ['a body outside of channels', frame(FRAME_BODY, 0, Buffer.from('x')), /type 3 on channel 0/],
    [
      'a method for servers',
      methodFrame(0, 'connection.open', { virtualHost: '/' }),
      /connection.open was not/,
    ],
    ['an answer to nothing', methodFrame(1, 'queue.bind-ok'), /queue.bind-ok where nothing was expected/],
    ['a heartbeat on a channel', frame(FRAME_HEARTBEAT, 1, Buffer.alloc(0)), /type 8 where a method/],
    [
      'a content above the limit',
      Buffer.concat([
        methodFrame(1, 'basic.deliver', { consumerTag: 'r' }),
        frame(FRAME_HEADER, 1, encodeHeader(MAX_CONTENT_BYTES, {})),
      ]),
      /the limit is/,
    ],
  ])('ends with %s, and says so', async (_, octets, text) => {
    const { broker, client, ends, bodies } = await openChannel();
    client.send(octets, message('after that'));
    await client.ended();
    await eventually(() => ends.length === 1);
    expect(ends[0]).toMatch(text);
    expect(ends[0]).toContain(broker.where);
    expect(bodies).toEqual([]);
  });

  it('lives on what is said to publishers, and on heartbeats', async () => {
    const { client, ends, bodies } = await openChannel();
    client.sendMethod(0, 'connection.blocked', { reason: 'low on memory' });
    client.sendMethod(0, 'connection.unblocked');
    client.sendMethod(1, 'channel.flow', { active: true });
    client.send(frame(FRAME_HEARTBEAT, 0, Buffer.alloc(0)), message('after that'));
    await client.expect('channel.flow-ok');
    await eventually(() => bodies.length === 1);
    expect(ends).toEqual([]);
  });

  it('on which nothing is heard is dropped after two intervals, and sends heartbeats until then', async () => {
    const { client, ends, broker } = await open({ heartbeatSeconds: 0.04 });
    expect((await client.next()).type).toBe('heartbeat');
    await client.ended();
    expect(ends).toEqual([`${broker.where}: nothing was heard for 0.08 s`]);
  });

  it('is not dropped for silence while it does not listen', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { memory, ends } = await open();
    memory.high = true;
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual([]);
    memory.high = false;
    vi.advanceTimersByTime(12_500);
    expect(ends.length).toBe(1);
  });

  it('is dropped when the broker lives and does not answer', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { client, channel, ends, broker, bodies } = await openChannel();
    channel.request('basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false });
    for (let time = 0; time <= RELAY_ANSWER_TIMEOUT_MS && ends.length === 0; time += 2500) {
      client.send(message('alive'));
      const count = bodies.length;
      await eventually(() => bodies.length > count);
      vi.advanceTimersByTime(2500);
    }
    expect(ends).toEqual([`${broker.where}: a request was not answered for 30 s`]);
  });

  it('is dropped when the broker takes nothing', async () => {
    const { client, channel, ends } = await openChannel();
    client.socket.pause();
    const binding = { queue: 'q', exchange: 'x', routingKey: '', noWait: false };
    const args = { large: 'x'.repeat(100_000) };
    for (let bytes = 0; bytes < 2 * MAX_UNSENT_BYTES && ends.length === 0; bytes += 100_000) {
      channel.request('queue.bind', { ...binding, arguments: args });
    }
    expect(ends[0]).toMatch(/octets wait for it to read them$/);
  });

  it('is not read while memory is short, and nothing is lost', async () => {
    const { client, memory, bodies } = await openChannel();
    memory.high = true;
    const flood = client.flood(message('x'.repeat(100_000)), 400);
    await stuck(flood);
    expect(bodies.length).toBeLessThan(10);
    memory.high = false;
    await eventually(() => bodies.length === 400);
  });

  it('is not read from the start where memory was short before', async () => {
    const broker = await FakeBroker.start();
    const { connected, memory, ends } = dial(broker);
    memory.high = true;
    const client = await broker.admit();
    const connection = await connected;
    teardown(() => connection.abort());
    await stuck(client.flood(message('x'.repeat(100_000)), 400));
    // Read, the messages would be those of a channel that is not open.
    expect(ends).toEqual([]);
  });

  it('says goodbye when it is closed, and takes nothing in any more', async () => {
    const { client, connection, bodies, ends, memory } = await openChannel();
    memory.high = true;
    const closed = connection.close();
    await client.expect('connection.close');
    client.send(message('late'), methodFrame(0, 'connection.close-ok'));
    await closed;
    expect([bodies, ends, memory.listeners]).toEqual([[], [], 0]);
  });

  it('does not wait for ever for the answer to its goodbye', async () => {
    const { client, connection, ends } = await open();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const closed = connection.close();
    await client.expect('connection.close');
    vi.advanceTimersByTime(RELAY_CLOSE_TIMEOUT_MS);
    await closed;
    await client.ended();
    expect(ends).toEqual([]);
  });

  it('hands nothing on after it was aborted, in the middle of a chunk even', async () => {
    const { client, connection } = await open();
    const bodies: string[] = [];
    connection.openChannel({
      receive: (content) => {
        bodies.push(kept(content).body.toString());
        connection.abort();
      },
      closed: () => {},
    });
    client.send(methodFrame(1, 'channel.open-ok'), message('1'), message('2'));
    await client.ended();
    expect(bodies).toEqual(['1']);
  });

  it('opens as many channels as the broker allows, and uses their numbers again', async () => {
    const { client, connection, broker } = await open();
    const owner = { receive: () => {}, closed: () => {} };
    const channels = Array.from({ length: 2047 }, () => connection.openChannel(owner));
    expect(() => connection.openChannel(owner)).toThrow(
      `${broker.where}: no more than 2047 channels are allowed`,
    );
    channels[6]?.close();
    for (let number = 1; number <= 2047; number++) await client.expect('channel.open');
    expect((await client.expect('channel.close')).channel).toBe(7);
    client.sendMethod(7, 'channel.close-ok');
    await eventually(() => connection.openChannel(owner) !== undefined);
    expect((await client.expect('channel.open')).channel).toBe(7);
  });
});

describe('a channel', () => {
  it('that the broker closes leaves the connection alone', async () => {
    const { broker, client, channel, closes, ends, connection } = await openChannel();
    const answers: boolean[] = [];
    const qos = { prefetchSize: 0, prefetchCount: 1, global: false };
    channel.request('basic.qos', qos, (answered) => answers.push(answered));
    channel.request('basic.qos', qos, (answered) => answers.push(answered));
    client.sendMethod(1, 'basic.qos-ok');
    client.sendMethod(1, 'channel.close', {
      replyCode: 404,
      replyText: "NOT_FOUND - no exchange 'x'",
      ...REPLY,
    });
    await eventually(() => closes.length === 1);
    expect(closes).toEqual([`${broker.where}: the channel was closed: 404 NOT_FOUND - no exchange 'x'`]);
    expect(answers).toEqual([true, false]);
    channel.request('basic.qos', qos, (answered) => answers.push(answered));
    expect(answers).toEqual([true, false, false]);
    await client.expect('basic.qos');
    await client.expect('basic.qos');
    await client.expect('channel.close-ok');
    connection.openChannel({ receive: () => {}, closed: () => {} });
    await client.expect('channel.open');
    expect(ends).toEqual([]);
  });

  it('whose consumer is cancelled is closed', async () => {
    const { broker, client, closes } = await openChannel();
    client.sendMethod(1, 'basic.cancel', { consumerTag: 'r', noWait: true });
    await client.expect('channel.close');
    expect(closes).toEqual([`${broker.where}: the consumer was cancelled`]);
  });

  it('that both sides close at once is closed', async () => {
    const { client, channel, connection, closes, ends } = await openChannel();
    channel.close();
    client.send(
      message('late'),
      methodFrame(1, 'channel.close', { replyCode: 404, replyText: 'NOT_FOUND', ...REPLY }),
      methodFrame(1, 'channel.close-ok'),
    );
    await client.expect('channel.close');
    await client.expect('channel.close-ok');
    connection.openChannel({ receive: () => {}, closed: () => {} });
    await client.expect('channel.open');
    expect([closes, ends]).toEqual([[], []]);
  });

  it('sends nothing that does not fit a frame', async () => {
    const { client, channel } = await openChannel();
    const binding = { queue: 'q', exchange: 'x', routingKey: '', noWait: false };
    const large = { ...binding, arguments: { large: 'x'.repeat(MAX_FRAME_BYTES) } };
    expect(() => channel.request('queue.bind', large)).toThrow(/queue.bind: .* octets do not fit a frame/);
    expect(() =>
      channel.request('queue.bind', { ...binding, routingKey: 'x'.repeat(256), arguments: {} }),
    ).toThrow();
    channel.close();
    await client.expect('channel.close');
  });
});
