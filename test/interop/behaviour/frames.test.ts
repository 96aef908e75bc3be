import { expect, it } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../../../src/amqp-codec/index.js';
import type { RawClient } from '../../support/amqp-raw-client.js';
import { frame, methodFrame } from '../../support/amqp-raw-client.js';
import { rawChannel, rawConnection } from './app.js';
import { onEachServer } from './server.js';

const CLASS_QUEUE = 50;
const publish = methodFrame(1, 'basic.publish', { routingKey: 'x' });
const deliver = methodFrame(1, 'basic.deliver', { consumerTag: 'x', deliveryTag: 1 });

/** What a connection is closed with, as `code text class method`; the texts of RabbitMQ have line breaks here and there. */
async function closeOf(client: RawClient): Promise<string> {
  const { replyCode, replyText, classId, methodId } = await client.expect('connection.close');
  return `${replyCode} ${onOneLine(replyText)} ${classId} ${methodId}`;
}

onEachServer('a frame that cannot be', (server) => {
  it.each<[what: string, octets: Buffer, close: string]>([
    [
      'of an unknown type',
      frame(7, 1, Buffer.from('x')),
      '501 FRAME_ERROR - type 7, all octets = <<"x">>: unknown_frame 0 0',
    ],
    [
      'without a frame end',
      withoutEnd(methodFrame(1, 'channel.close')),
      '501 FRAME_ERROR - type 1, all octets = <<0,20,0,40,0,200,0,0,0,0,0>>: {invalid_frame_end_marker,0} 0 0',
    ],
    [
      'with a method too short for its ids',
      frame(FRAME_METHOD, 1, Buffer.from([0, 60])),
      '501 FRAME_ERROR - type 1, all octets = <<0,60>>: unknown_frame 0 0',
    ],
    [
      'with a method cut short',
      frame(FRAME_METHOD, 1, methodFrame(1, 'queue.declare', { queue: 'long name' }).subarray(7, 15)),
      '501 FRAME_ERROR - cannot decode <<0,0,9,108>> 50 10',
    ],
    [
      'with a header of another class',
      Buffer.concat([publish, frame(FRAME_HEADER, 1, otherClass())]),
      '505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead 60 40',
    ],
    [
      'with a header cut short',
      Buffer.concat([publish, frame(FRAME_HEADER, 1, Buffer.alloc(5))]),
      '501 FRAME_ERROR - type 2, all octets = <<0,0,0,0,0>>: unknown_frame 0 0',
    ],
    [
      'with a header on channel 0',
      frame(FRAME_HEADER, 0, encodeHeader(0, {})),
      '505 UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>> 0 0',
    ],
    [
      'with a method of channels on channel 0',
      methodFrame(0, 'basic.qos'),
      '504 CHANNEL_ERROR - unexpected method in connection state running 60 10',
    ],
    [
      'with a method of connections on a channel',
      methodFrame(1, 'connection.open'),
      '503 COMMAND_INVALID - unimplemented method 10 40',
    ],
    [
      'with a method of a server, and its content',
      Buffer.concat([
        deliver,
        frame(FRAME_HEADER, 1, encodeHeader(1, {})),
        frame(FRAME_BODY, 1, Buffer.from('x')),
      ]),
      '503 COMMAND_INVALID - unimplemented method 60 60',
    ],
    [
      'with a method of a server, and no content',
      Buffer.concat([deliver, deliver]),
      '505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead 60 60',
    ],
    [
      'with a second connection.open',
      methodFrame(0, 'connection.open'),
      '504 CHANNEL_ERROR - unexpected method in connection state running 10 40',
    ],
    [
      'with a second tune-ok',
      methodFrame(0, 'connection.tune-ok', { channelMax: 1, frameMax: 4096, heartbeat: 0 }),
      '504 CHANNEL_ERROR - unexpected method in connection state running 10 31',
    ],
  ])('%s closes the connection', async (_, octets, close) => {
    const client = await rawChannel(server);
    client.send(octets);
    expect(await closeOf(client)).toBe(close);
  });

  it('carries more of a body than was announced', async () => {
    const client = await rawChannel(server);
    client.send(
      publish,
      frame(FRAME_HEADER, 1, encodeHeader(1, {})),
      frame(FRAME_BODY, 1, Buffer.from('xx')),
    );
    client.sendMethod(0, 'connection.close');
    // RabbitMQ waits for the rest of the body until the end of the connection.
    const close = { type: 'method', name: 'connection.close', arguments: { replyCode: 505 } };
    const answers = { RabbitMQ: { type: 'method', name: 'connection.close-ok' }, 'the node': close };
    expect(await client.next()).toMatchObject(server.expected('bodies longer than announced', answers));
  });

  it('is larger than frame-max', async () => {
    const client = await rawConnection(server);
    await client.open({ channelMax: 1, frameMax: 4096, heartbeat: 0 });
    await client.call('channel.open', {}, 'channel.open-ok');
    client.send(
      publish,
      frame(FRAME_HEADER, 1, encodeHeader(8000, {})),
      frame(FRAME_BODY, 1, Buffer.alloc(8000)),
    );
    expect(await closeOf(client)).toBe(
      '501 FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,8000,4088} 0 0',
    );
  });
});

function onOneLine(text: string): string {
  return text.replace(/\n\s*/g, '');
}

function withoutEnd(octets: Buffer): Buffer {
  octets[octets.length - 1] = 0;
  return octets;
}

function otherClass(): Buffer {
  const header = encodeHeader(0, {});
  header.writeUInt16BE(CLASS_QUEUE, 0);
  return header;
}
