import { describe, expect, it } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { EVERYTHING } from '../../src/overlay/index.js';
import { MAX_FRAME_BYTES, MAX_PENDING_REQUESTS } from '../../src/prototype-space/limits.js';
import { RelayLink } from '../../src/prototype-space/relay-link.js';
import { LogStub } from '../dht-space/log-stub.js';
import { MemoryStub } from '../dht-space/memory-stub.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { frame, methodFrame } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import type { Opening } from './relay-fake-broker.js';
import { FakeBroker, greet, serve } from './relay-fake-broker.js';
import { down, linked, PointStub, pattern } from './relay-point.js';

const REPLY = { classId: 0, methodId: 0 };

function newLink() {
  const log = new LogStub();
  // The dice say 0: what has failed is tried again at once.
  const options = { self: 'self', peer: 'peer', memory: new MemoryStub(), random: () => 0 };
  const link = new RelayLink({ ...options, logger: log });
  // Not closed: that waits for brokers, which are gone.
  teardown(() => void link.close());
  return { link, log };
}

/** A link with a reader for each point, all of them linked. */
async function startLinked(...points: readonly PointStub[]) {
  const broker = await FakeBroker.start();
  const { link, log } = newLink();
  link.update(broker.endpoint, 'secret');
  const readers = points.map((point) => link.open(point));
  const client = await broker.admit();
  const openings: Opening[] = [];
  for (const _ of points) openings.push(await serve(client));
  await Promise.all(readers.map(linked));
  return { broker, link, log, client, readers, openings };
}

function message(channel: number, body: string): Buffer {
  return Buffer.concat([
    methodFrame(channel, 'basic.deliver', { consumerTag: 'r', routingKey: 'k' }),
    frame(FRAME_HEADER, channel, encodeHeader(body.length, {})),
    frame(FRAME_BODY, channel, Buffer.from(body)),
  ]);
}

function closeChannel(client: RawClient, channel: number): void {
  client.sendMethod(channel, 'channel.close', {
    replyCode: 404,
    replyText: 'NOT_FOUND - no outlet',
    ...REPLY,
  });
}

describe('a link', () => {
  it('is not dialled before there is something to read and somewhere to go', async () => {
    const [nobody, broker] = [await FakeBroker.start(), await FakeBroker.start()];
    const { link } = newLink();
    link.update(nobody.endpoint, 'secret');
    link.update(broker.endpoint, 'secret');
    link.open(new PointStub());
    await broker.admit();
    expect(nobody.accepted).toBe(0);
  });

  it('logs in as the relay of this member at the other one', async () => {
    const broker = await FakeBroker.start();
    const { link } = newLink();
    link.open(new PointStub());
    link.update(broker.endpoint, 'secret');
    const client = await broker.accept();
    await greet(client);
    const { response } = await client.expect('connection.start-ok');
    expect(response.toString()).toBe('\0peer.self\0secret');
  });

  it('declares a queue for each reader, binds what its point wants, and consumes', async () => {
    const args = { 'x-match': 'all', size: 3 };
    const points = [new PointStub(pattern('a.*'), pattern('', args)), new PointStub(EVERYTHING)];
    const { openings, readers } = await startLinked(...points);
    expect(openings[0]?.queue).toMatch(/^peer\.self\.7\.[0-9a-f]{16}$/);
    expect(openings[0]?.bindings).toMatchObject([
      { exchange: 'outlet', routingKey: 'a.*', arguments: {}, queue: openings[0]?.queue },
      { exchange: 'outlet', routingKey: '', arguments: args, queue: openings[0]?.queue },
    ]);
    expect(openings[1]?.bindings).toMatchObject([{ exchange: 'outlet-all', routingKey: '', arguments: {} }]);
    expect(openings.map(({ channel }) => channel)).toEqual([1, 2]);
    expect(readers.map(({ state }) => state)).toEqual(['linked', 'linked']);
    expect(points.map(({ changes }) => changes)).toEqual([1, 1]);
  });

  it('hands each message to the point of its channel', async () => {
    const [one, two] = [new PointStub(), new PointStub()];
    const { client, readers } = await startLinked(one, two);
    client.send(message(2, 'b'), message(1, 'a'), message(2, 'c'));
    await eventually(() => two.received.length === 2);
    expect([one.bodies, two.bodies]).toEqual([['a'], ['b', 'c']]);
    expect(readers.map(({ receivedMessages }) => receivedMessages)).toEqual([1, 2]);
  });

  it('ends with its last reader, and is dialled again for the next', async () => {
    const { broker, client, link, readers } = await startLinked(new PointStub(), new PointStub());
    readers[0]?.close();
    expect((await client.expect('channel.close')).channel).toBe(1);
    readers[1]?.close();
    await client.expect('channel.close');
    await client.expect('connection.close');
    client.sendMethod(0, 'connection.close-ok');
    await client.ended();
    const reader = link.open(new PointStub());
    await serve(await broker.admit());
    await linked(reader);
  });

  it('stays when its last reader makes room for another one', async () => {
    const { broker, client, link, readers } = await startLinked(new PointStub());
    readers[0]?.close();
    const reader = link.open(new PointStub());
    await client.expect('channel.close');
    client.sendMethod(1, 'channel.close-ok');
    await serve(client);
    await linked(reader);
    expect(broker.accepted).toBe(1);
  });

  it('that is lost is dialled again, with what is wanted by then', async () => {
    const point = new PointStub(pattern('a'), pattern('b'));
    const { broker, client, readers, log } = await startLinked(point);
    client.destroy();
    await eventually(() => readers[0]?.state === 'down');
    point.forget(pattern('a'));
    readers[0]?.unbind(pattern('a'));
    point.want(pattern('c'));
    await readers[0]?.bind(pattern('c'));
    const next = await broker.admit();
    const { bindings } = await serve(next);
    expect(bindings.map(({ routingKey }) => routingKey)).toEqual(['b', 'c']);
    await eventually(() => readers[0]?.state === 'linked');
    expect(point.changes).toBe(3);
    expect(log.entries.map(({ level, text }) => `${level}: ${text}`)).toEqual([
      'warn: link to another member is down, trying again',
      'info: link to another member is up again',
    ]);
    expect(log.entries[0]?.fields).toMatchObject({ cause: expect.stringContaining(broker.where) });
  });

  it('that cannot be made is tried again and again, and logged once', async () => {
    const broker = await FakeBroker.start();
    const { link, log } = newLink();
    link.update(broker.endpoint, 'secret');
    const reader = link.open(new PointStub());
    for (let times = 0; times < 5; times++) (await broker.accept()).destroy();
    await serve(await broker.admit());
    await linked(reader);
    expect(log.entries.filter(({ level }) => level !== 'debug').length).toBe(2);
  });

  it('logs in with the password that it was told last', async () => {
    const broker = await FakeBroker.start();
    const { link } = newLink();
    link.update(broker.endpoint, 'old');
    link.open(new PointStub());
    const refused = await broker.accept();
    await greet(refused);
    await refused.expect('connection.start-ok');
    link.update(broker.endpoint, 'new');
    refused.sendMethod(0, 'connection.close', { replyCode: 403, replyText: 'ACCESS_REFUSED', ...REPLY });
    const client = await broker.accept();
    await greet(client);
    const { response } = await client.expect('connection.start-ok');
    expect(response.toString()).toBe('\0peer.self\0new');
    expect(broker.accepted).toBe(2);
  });

  it('stays when it is told another password, and moves when it is told another endpoint', async () => {
    const point = new PointStub(EVERYTHING);
    const { broker, client, link, readers } = await startLinked(point);
    link.update(broker.endpoint, 'new');
    client.send(message(1, 'before'));
    await eventually(() => point.received.length === 1);
    const other = await FakeBroker.start();
    link.update(other.endpoint, 'new');
    expect(readers[0]?.state).toBe('down');
    // Whatever the one before still sends is not handed on.
    client.send(message(1, 'before'));
    const next = await other.admit();
    await serve(next);
    next.send(message(1, 'after'));
    await eventually(() => point.received.length === 2);
    await client.ended();
    expect(point.bodies).toEqual(['before', 'after']);
    expect(broker.accepted).toBe(1);
  });

  it('that moves while it is being dialled goes to the new place only', async () => {
    const [one, two] = [await FakeBroker.start(), await FakeBroker.start()];
    const { link } = newLink();
    link.update(one.endpoint, 'secret');
    const reader = link.open(new PointStub());
    const client = await one.accept();
    link.update(two.endpoint, 'secret');
    await serve(await two.admit());
    await linked(reader);
    await client.ended();
    expect(one.accepted).toBe(1);
  });

  it('that is closed says goodbye, and is not dialled any more', async () => {
    const point = new PointStub();
    const { broker, client, link, readers } = await startLinked(point);
    const closed = link.close();
    await client.expect('channel.close');
    await client.expect('connection.close');
    client.sendMethod(0, 'connection.close-ok');
    await closed;
    link.update((await FakeBroker.start()).endpoint, 'secret');
    expect(readers[0]?.state).toBe('down');
    expect([broker.accepted, point.changes]).toEqual([1, 1]);
  });

  it('can be closed while it is being dialled', async () => {
    const broker = await FakeBroker.start();
    const { link } = newLink();
    link.update(broker.endpoint, 'secret');
    link.open(new PointStub());
    const client = await broker.accept();
    await link.close();
    await client.ended();
  });
});

describe('a reader', () => {
  it('binds and unbinds in order, and knows when a binding stands', async () => {
    const { client, readers, openings } = await startLinked(new PointStub());
    const [reader] = readers;
    const args = { 'x-match': 'any', n: 1, t: true, s: 'text' };
    let bound = false;
    const answered = reader?.bind(pattern('k', args)).then(() => {
      bound = true;
    });
    reader?.unbind(pattern('k', args));
    const first = await client.expect('queue.bind');
    const second = await client.expect('queue.unbind');
    expect(bound).toBe(false);
    const said = { queue: openings[0]?.queue, exchange: 'outlet', routingKey: 'k', arguments: args };
    expect([first, second]).toMatchObject([said, said]);
    client.sendMethod(1, 'queue.bind-ok');
    await answered;
    client.sendMethod(1, 'queue.unbind-ok');
  });

  it('sends interest that comes while the link is being made after what it started with', async () => {
    const broker = await FakeBroker.start();
    const { link } = newLink();
    const point = new PointStub(pattern('a'));
    link.update(broker.endpoint, 'secret');
    const reader = link.open(point);
    await reader.bind(pattern('not asked for by the point'));
    const client = await broker.admit();
    await client.expect('channel.open');
    await client.expect('queue.declare');
    expect((await client.expect('queue.bind')).routingKey).toBe('a');
    await client.expect('basic.consume');
    expect(reader.state).toBe('down');
    const bound = reader.bind(pattern('b'));
    reader.unbind(pattern('a'));
    expect((await client.expect('queue.bind')).routingKey).toBe('b');
    expect((await client.expect('queue.unbind')).routingKey).toBe('a');
    client.send(
      methodFrame(1, 'channel.open-ok'),
      methodFrame(1, 'queue.declare-ok', { queue: 'q' }),
      methodFrame(1, 'queue.bind-ok'),
      methodFrame(1, 'basic.consume-ok', { consumerTag: 'r' }),
      methodFrame(1, 'queue.bind-ok'),
    );
    await bound;
    expect(reader.state).toBe('linked');
  });

  it('does not wait for a binding at a member that is lost meanwhile', async () => {
    const { client, readers } = await startLinked(new PointStub());
    const bound = readers[0]?.bind(pattern('k'));
    await client.expect('queue.bind');
    client.destroy();
    await bound;
  });

  it('asks no more of a member that does not answer, and does not wait for it', async () => {
    const { client, readers, log } = await startLinked(new PointStub());
    const bound = Array.from({ length: MAX_PENDING_REQUESTS + 1 }, (_, n) =>
      readers[0]?.bind(pattern(`${n}`)),
    );
    await Promise.all(bound);
    expect(log.about('cannot be read')[0]?.fields.cause).toMatch(/answers no requests/);
    for (let count = 0; count < MAX_PENDING_REQUESTS; count++) await client.expect('queue.bind');
    await client.expect('channel.close');
  });

  it('wants everything while it wants anything that no frame can say', async () => {
    const { client, readers } = await startLinked(new PointStub());
    const [reader] = readers;
    // Three octets each, on the wire.
    const large = '€'.repeat(MAX_FRAME_BYTES / 3);
    const [one, other] = [pattern('', { large }), pattern('', { large, other: true })];
    const all = { exchange: 'outlet-all', routingKey: '', arguments: {} };
    for (const interest of [one, EVERYTHING, other] as const) {
      void reader?.bind(interest);
      expect(await client.expect('queue.bind')).toMatchObject(all);
    }
    for (const interest of [EVERYTHING, one] as const) reader?.unbind(interest);
    void reader?.bind(pattern('marker'));
    expect((await client.expect('queue.bind')).routingKey).toBe('marker');
    reader?.unbind(other);
    expect(await client.expect('queue.unbind')).toMatchObject(all);
  });

  it('whose outlet is gone tries again, and takes the queue along that was left; others are not disturbed', async () => {
    const [gone, there] = [new PointStub(pattern('a')), new PointStub()];
    const { broker, client, readers, log, openings } = await startLinked(gone, there);
    closeChannel(client, 1);
    await client.expect('channel.close-ok');
    await client.expect('channel.open');
    const { queue } = await client.expect('queue.declare');
    await client.expect('queue.bind');
    await client.expect('basic.consume');
    expect(readers.map(({ state }) => state)).toEqual(['down', 'linked']);
    client.sendMethod(3, 'channel.open-ok');
    client.sendMethod(3, 'queue.declare-ok', { queue });
    closeChannel(client, 3);
    await client.expect('channel.close-ok');
    const opening = await serve(client);
    expect(opening.deleted).toEqual([queue]);
    expect(opening.queue).not.toBe(queue);
    expect(opening.queue).not.toBe(openings[0]?.queue);
    await eventually(() => readers[0]?.state === 'linked');
    expect([gone.changes, there.changes, broker.accepted]).toEqual([3, 1, 1]);
    expect(log.entries.filter(({ level }) => level !== 'debug').map(({ text }) => text)).toEqual([
      'outlet of another member cannot be read, trying again',
      'outlet of another member is read again',
    ]);
    expect(log.entries[0]?.fields).toMatchObject({
      cause: `${broker.where}: the channel was closed: 404 NOT_FOUND - no outlet`,
    });
  });

  it('whose consumer is cancelled tries again', async () => {
    const { client, readers } = await startLinked(new PointStub());
    client.sendMethod(1, 'basic.cancel', { consumerTag: 'r', noWait: true });
    await client.expect('channel.close');
    client.sendMethod(1, 'channel.close-ok');
    expect((await serve(client)).deleted).toEqual([]);
    await eventually(() => readers[0]?.state === 'linked');
  });

  it('that is closed hears nothing any more', async () => {
    const point = new PointStub();
    const { client, readers } = await startLinked(point, new PointStub());
    readers[0]?.close();
    client.send(message(1, 'late'), message(2, 'other'));
    await eventually(() => readers[1]?.receivedMessages === 1);
    expect([point.received, point.changes]).toEqual([[], 1]);
    await readers[0]?.bind(pattern('k'));
    readers[0]?.unbind(pattern('k'));
    expect(readers[0]?.state).toBe('down');
  });

  it('fails where the outlet’s names cannot be said in AMQP, and goes on trying', async () => {
    const point = new PointStub(EVERYTHING);
    const names = { number: 1, exchange: 'x'.repeat(256), everything: 'x'.repeat(256) };
    Object.assign(point.outlet, names);
    const broker = await FakeBroker.start();
    const { link, log } = newLink();
    link.update(broker.endpoint, 'secret');
    const reader = link.open(point);
    const client = await broker.admit();
    await client.expect('channel.open');
    await client.expect('queue.declare');
    await client.expect('channel.close');
    await client.expect('channel.open');
    await down(reader);
    expect(log.about('outlet of another member cannot be read')[0]?.fields.cause).toMatch(
      /queue.bind exchange/,
    );
  });
});
