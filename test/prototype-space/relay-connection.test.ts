import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT } from '../../src/amqp-codec/index.js';
import {
  MAX_CONTENT_BYTES,
  MAX_FRAME_BYTES,
  MAX_UNSENT_BYTES,
  RELAY_ANSWER_TIMEOUT_MS,
  RELAY_CLOSE_TIMEOUT_MS,
  RELAY_LOGIN_TIMEOUT_MS,
} from '../../src/prototype-space/limits.js';
import type { RelayChannel } from '../../src/prototype-space/relay-channel.js';
import type { RelayConnection } from '../../src/prototype-space/relay-connection.js';
import { connectRelay } from '../../src/prototype-space/relay-connection.js';
import { MemoryStub } from '../dht-space/memory-stub.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { frame, methodFrame, stuck } from '../support/amqp-raw-client.js';
import { CertificateAuthority } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { requireTools } from '../support/tools.js';
import { FakeBroker, greet } from './relay-fake-broker.js';
import { kept } from './relay-point.js';

const credential = { username: 'peer.self', password: 'secret' };
const REPLY = { classId: 0, methodId: 0 };

afterEach(() => {
  vi.useRealTimers();
});

interface Options {
  readonly heartbeatSeconds?: number;
  readonly signal?: AbortSignal;
  readonly tlsCa?: Buffer;
}

function dial(broker: FakeBroker, options: Options = {}) {
  const memory = new MemoryStub();
  const ends: string[] = [];
  const ended = (cause: Error) => {
    ends.push(cause.message);
  };
  const { endpoint } = broker;
  const connected = connectRelay({ endpoint, credential, memory, ended, ...options });
  const failure = connected.then(
    () => 'no failure',
    (error: Error) => error.message,
  );
  return { memory, ends, connected, failure };
}

interface Linked {
  readonly broker: FakeBroker;
  readonly client: RawClient;
  readonly connection: RelayConnection;
  readonly memory: MemoryStub;
  /** Why the connection has ended. */
  readonly ends: readonly string[];
}

async function open(options: Options = {}): Promise<Linked> {
  const broker = await FakeBroker.start();
  const { connected, memory, ends } = dial(broker, options);
  const client = await broker.admit();
  const connection = await connected;
  teardown(() => connection.abort());
  return { broker, client, connection, memory, ends };
}

interface OpenChannel extends Linked {
  readonly channel: RelayChannel;
  readonly bodies: string[];
  /** Why the channel was closed. */
  readonly closes: readonly string[];
}

async function openChannel(options: Options = {}): Promise<OpenChannel> {
  const linked = await open(options);
  const bodies: string[] = [];
  const closes: string[] = [];
  const channel = linked.connection.openChannel({
    receive: (content) => bodies.push(kept(content).body.toString()),
    closed: (cause) => closes.push(cause.message),
  });
  await linked.client.expect('channel.open');
  linked.client.sendMethod(1, 'channel.open-ok');
  return { ...linked, channel, bodies, closes };
}

function message(body: string): Buffer {
  return Buffer.concat([
    methodFrame(1, 'basic.deliver', { consumerTag: 'r', routingKey: 'k' }),
    frame(FRAME_HEADER, 1, encodeHeader(body.length, {})),
    frame(FRAME_BODY, 1, Buffer.from(body)),
  ]);
}

describe('a login', () => {
  it('names user and password, agrees to what the broker offers, and opens the virtual host', async () => {
    const broker = await FakeBroker.start();
    const { connected } = dial(broker);
    const client = await broker.accept();
    await greet(client);
    const { mechanism, response, clientProperties } = await client.expect('connection.start-ok');
    expect([mechanism, response.toString()]).toEqual(['PLAIN', '\0peer.self\0secret']);
    expect(clientProperties).toMatchObject({
      product: 'xspace',
      capabilities: { consumer_cancel_notify: true, publisher_confirms: false },
    });
    client.sendMethod(0, 'connection.tune', { channelMax: 12, frameMax: 8192, heartbeat: 60 });
    expect(await client.expect('connection.tune-ok')).toMatchObject({
      channelMax: 12,
      frameMax: 8192,
      heartbeat: 5,
    });
    expect(await client.expect('connection.open')).toMatchObject({ virtualHost: '/relays' });
    client.sendMethod(0, 'connection.open-ok');
    const connection = await connected;
    teardown(() => connection.abort());
    expect(connection.maxFrameBytes).toBe(8192);
  });

  it('takes no larger frames than it can bear, and sets limits where the broker has none', async () => {
    const broker = await FakeBroker.start();
    dial(broker);
    const client = await broker.accept();
    await greet(client);
    await client.expect('connection.start-ok');
    client.sendMethod(0, 'connection.tune', { channelMax: 0, frameMax: 0, heartbeat: 0 });
    const agreed = { channelMax: 65_535, frameMax: MAX_FRAME_BYTES, heartbeat: 5 };
    expect(await client.expect('connection.tune-ok')).toMatchObject(agreed);
  });

  it('that is refused says where, and the broker’s code and text', async () => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    const client = await broker.accept();
    await greet(client);
    await client.expect('connection.start-ok');
    const replyText = 'ACCESS_REFUSED - Login was refused';
    client.sendMethod(0, 'connection.close', { replyCode: 403, replyText, ...REPLY });
    await client.expect('connection.close-ok');
    expect(await failure).toBe(`${broker.where}: login refused: 403 ${replyText}`);
    await client.ended();
  });

  it.each<[string, Buffer, RegExp]>([
    ['speaks HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /: not AMQP 0-9-1: type 72/],
    ['wants another protocol', Buffer.from('AMQP\x00\x01\x00\x00', 'latin1'), /: not AMQP 0-9-1: type 65/],
    [
      'sends no method',
      frame(FRAME_BODY, 0, Buffer.from('x')),
      /type 3 on channel 0 where connection.start was/,
    ],
    [
      'sends a method of a channel',
      methodFrame(1, 'channel.open-ok'),
      /type 1 on channel 1 where connection.start/,
    ],
    [
      'sends the wrong method',
      methodFrame(0, 'connection.open-ok'),
      /open-ok where connection.start was expected/,
    ],
    ['sends no method that there is', frame(1, 0, Buffer.from([0, 99, 0, 99])), /no method 99.99/],
    ['sends a method that is cut off', frame(1, 0, Buffer.from([0, 10, 0, 10, 0])), /connection.start/],
  ])('at something that %s fails', async (_, octets, text) => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    const client = await broker.accept();
    client.send(octets);
    expect(await failure).toMatch(text);
    expect(await failure).toContain(broker.where);
    await client.ended();
  });

  it('fails where it cannot be by PLAIN, or in another version', async () => {
    const broker = await FakeBroker.start();
    const one = dial(broker);
    await greet(await broker.accept(), 'EXTERNAL');
    expect(await one.failure).toBe(`${broker.where}: it logs in by EXTERNAL and not by PLAIN`);
    const other = dial(broker);
    await greet(await broker.accept(), 'PLAIN', 10);
    expect(await other.failure).toBe(`${broker.where}: it speaks AMQP 0-10 instead of 0-9`);
  });

  it('fails when the broker closes the socket without a word', async () => {
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    (await broker.accept()).socket.end();
    expect(await failure).toBe(`${broker.where}: the connection was closed`);
  });

  it('fails where nobody listens', async () => {
    const ended = () => {};
    const endpoint = { host: '127.0.0.1', port: 1, tls: false, virtualHost: '/' };
    const connected = connectRelay({ endpoint, credential, memory: new MemoryStub(), ended });
    await expect(connected).rejects.toThrow(/^127\.0\.0\.1:1: .*ECONNREFUSED/);
    const nowhere = { ...endpoint, port: 70_000 };
    const options = { endpoint: nowhere, credential, memory: new MemoryStub(), ended };
    await expect(connectRelay(options)).rejects.toThrow(/70000/);
  });

  it('fails when the broker is silent for too long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const broker = await FakeBroker.start();
    const { failure } = dial(broker);
    await broker.accept();
    vi.advanceTimersByTime(RELAY_LOGIN_TIMEOUT_MS);
    expect(await failure).toBe(`${broker.where}: no login within 10 s`);
  });

  it('can be given up, before and while it is tried', async () => {
    const broker = await FakeBroker.start();
    expect(await dial(broker, { signal: AbortSignal.abort() }).failure).toContain('given up');
    const cancel = new AbortController();
    const { failure } = dial(broker, { signal: cancel.signal });
    const client = await broker.accept();
    cancel.abort();
    expect(await failure).toContain('given up');
    await client.ended();
  });
});

requireTools('openssl')('a login over TLS', () => {
  it('trusts the authorities that are given, and no others', async () => {
    const authority = new CertificateAuthority();
    const broker = await FakeBroker.start(authority.issue('node'));
    const { connected } = dial(broker, { tlsCa: authority.cert });
    await broker.admit();
    (await connected).abort();
    expect(await dial(broker).failure).toMatch(/^127\.0\.0\.1:\d+: .*certificate/);
    const plain = await FakeBroker.start();
    const endpoint = { ...plain.endpoint, tls: true };
    const refused = connectRelay({ endpoint, credential, memory: new MemoryStub(), ended: () => {} });
    (await plain.accept()).send(Buffer.from('no hello of TLS'));
    await expect(refused).rejects.toThrow(plain.where);
  });
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
