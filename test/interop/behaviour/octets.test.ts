import { expect, it } from 'vitest';
import { FRAME_HEADER } from '../../../src/amqp-codec/index.js';
import { frame, methodFrame } from '../../support/amqp-raw-client.js';
import { hold, openChannel, ownQueue, rawChannel, ready, sharedQueue, unique } from './app.js';
import { table } from './field-octets.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

const CLASS_BASIC = 60;
const FLAG_HEADERS = 1 << 13;
const FLAG_PRIORITY = 1 << 11;

/** A value of each type that a field may have: its letter, and its octets in hexadecimal. */
const values: readonly [what: string, type: string, octets: string][] = [
  ['a boolean', 't', '01'],
  ['a signed octet', 'b', 'ff'],
  ['an unsigned octet', 'B', 'ff'],
  ['a signed short', 's', '8000'],
  ['an unsigned short', 'u', 'ffff'],
  ['a signed long', 'I', '80000000'],
  ['an unsigned long', 'i', 'ffffffff'],
  ['a long long', 'l', '8000000000000000'],
  ['a long long that doubles cannot hold', 'l', '0020000000000001'],
  ['a float', 'f', '3fc00000'],
  ['a double', 'd', '4002000000000000'],
  ['a decimal', 'D', '020000013a'],
  ['a text', 'S', '00000002c3bc'],
  ['a text that is no UTF-8', 'S', '00000001ff'],
  ['octets', 'x', '00000003ff00fe'],
  ['a time', 'T', '000000006553f100'],
  ['nothing', 'V', ''],
  ['an empty list', 'A', '00000000'],
  ['a list', 'A', '00000004740162ff'],
  ['an empty table', 'F', '00000000'],
  ['a table', 'F', '0000000401617401'],
];

onEachServer('the header of a message', (server) => {
  it.each(values)('is delivered octet by octet: with %s', async (_, type, octets) => {
    const header = contentHeader(FLAG_HEADERS, table(['a', type, octets]));
    expect(await delivered(server, header)).toEqual(header);
  });

  it('keeps the order of its headers', async () => {
    const header = contentHeader(FLAG_HEADERS, table(['z', 'b', '01'], ['a', 'b', '02'], ['m', 'b', '03']));
    expect(await delivered(server, header)).toEqual(header);
  });

  it.each([1, 2, 3])('keeps the flags %i, which are no property', async (flags) => {
    const header = contentHeader(FLAG_PRIORITY | flags, Buffer.from([7]));
    expect(await delivered(server, header)).toEqual(header);
  });

  it('keeps an empty table of headers, and a priority of 0', async () => {
    const header = contentHeader(FLAG_HEADERS | FLAG_PRIORITY, table(), Buffer.from([0]));
    expect(await delivered(server, header)).toEqual(header);
  });

  it('of an empty body is followed by no body', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    client.send(
      methodFrame(1, 'basic.publish', { routingKey: queue }),
      frame(FRAME_HEADER, 1, contentHeader(0)),
    );
    await client.call('basic.get', { queue, noAck: true }, 'basic.get-ok');
    expect((await client.next()).type).toBe('header');
    await client.call('queue.purge', { queue }, 'queue.purge-ok');
  });
});

onEachServer('a header of a message that cannot be read', (server) => {
  it.each([
    ['ends within a property', contentHeader(FLAG_HEADERS, Buffer.from('000000ff016174', 'hex'))],
    ['goes on after its properties', contentHeader(0, Buffer.from('ff', 'hex'))],
    ['has a field of a type that is none', contentHeader(FLAG_HEADERS, table(['a', 'Z', '']))],
    ['has properties beyond the 14', contentHeader(1, Buffer.from('0000', 'hex'))],
  ])('%s: the connection is closed', async (_, header) => {
    const client = await rawChannel(server);
    client.send(methodFrame(1, 'basic.publish', { routingKey: 'x' }), frame(FRAME_HEADER, 1, header));
    const { replyCode } = await client.expect('connection.close');
    expect(replyCode).toBe(server.expected('malformed properties', { RabbitMQ: 541, 'the node': 502 }));
  });
});

onEachServer('x-death', (server) => {
  it('has its fields in this order, of these types', async () => {
    const channel = await openChannel(server);
    const graves = await sharedQueue(channel);
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': graves };
    const queue = await ownQueue(channel, args);
    channel.sendToQueue(queue, Buffer.from('x'), { expiration: '60000' });
    channel.nack(await hold(channel, queue), false, false);
    // Each came by its own way: wait until it is there, and give it back to be read as octets.
    channel.nack(await hold(channel, graves));

    const client = await rawChannel(server);
    await client.call('basic.get', { queue: graves, noAck: true }, 'basic.get-ok');
    const { header } = await client.expectContent();
    const names = /(count|reason|queue|time|exchange|routing-keys|original-expiration)([a-zA-Z])/g;
    const fields = [...fieldsOf(header, 'x-death').matchAll(names)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    expect(fields).toEqual([
      'count l',
      'reason S',
      'queue S',
      'time T',
      'exchange S',
      'routing-keys A',
      'original-expiration S',
    ]);
  });
});

onEachServer('the headers of a dead letter', (server) => {
  it('are in the order of their names, whatever those look like', async () => {
    const channel = await openChannel(server);
    const graves = await sharedQueue(channel);
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': graves };
    const queue = await sharedQueue(channel, args);
    const client = await rawChannel(server);
    const names = ['z', '10', '9', 'a', '+', 'Z'];
    const headers = table(...names.map((name): [string, string, string] => [name, 'b', '01']));
    const publish = methodFrame(1, 'basic.publish', { routingKey: queue });
    client.send(publish, frame(FRAME_HEADER, 1, contentHeader(FLAG_HEADERS, headers)));
    channel.nack(await hold(channel, queue), false, false);
    channel.nack(await hold(channel, graves));
    await ready(channel, graves, 1);
    await client.call('basic.get', { queue: graves, noAck: true }, 'basic.get-ok');
    const { header } = await client.expectContent();
    const text = header.toString('latin1');
    const places = ['\x01+b', '\x0210b', '\x019b', '\x01Zb', '\x01ab', 'x-death', '\x01zb'];
    const found = places.map((place) => text.indexOf(place));
    expect(found).not.toContain(-1);
    expect(found).toEqual([...found].sort((one, other) => one - other));
  });
});

/** The octets of a list in a header, as characters. */
function fieldsOf(header: Buffer, list: string): string {
  const start = header.indexOf(`${list}A`) + list.length + 1;
  return header.subarray(start + 4, start + 4 + header.readUInt32BE(start)).toString('latin1');
}

/** What a consumer gets whose message was published with this header. */
async function delivered(server: Server, header: Buffer): Promise<Buffer> {
  const client = await rawChannel(server);
  const queue = unique('queue');
  await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
  client.send(methodFrame(1, 'basic.publish', { routingKey: queue }), frame(FRAME_HEADER, 1, header));
  await client.call('basic.get', { queue, noAck: true }, 'basic.get-ok');
  return (await client.expectContent()).header;
}

/** A content header of an empty body. */
function contentHeader(flags: number, ...properties: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(CLASS_BASIC, 0);
  head.writeUInt16BE(flags, 12);
  return Buffer.concat([head, ...properties]);
}
