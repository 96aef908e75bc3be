import { expect, it } from 'vitest';
import {
  encodeHeader,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
} from '../../../src/amqp-codec/index.js';
import type { RawClient } from '../../support/amqp-raw-client.js';
import { frame, methodFrame } from '../../support/amqp-raw-client.js';
import { connectTo, openChannel, rawChannel, rawConnection, unique } from './app.js';
import { onEachServer } from './server.js';

const COPIES = 3;

onEachServer('a channel', (server) => {
  it('may be any number up to channel-max', async () => {
    const client = await rawConnection(server);
    await client.open({ channelMax: 5 });
    for (const number of [5, 1, 3]) {
      client.sendMethod(number, 'channel.open');
      expect(await client.expect('channel.open-ok')).toMatchObject({ channel: number });
    }
  });

  it('that is closed can be opened again', async () => {
    const client = await rawChannel(server);
    await client.call('channel.close', {}, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    await client.call('queue.declare', { queue: unique('queue'), exclusive: true }, 'queue.declare-ok');
  });

  it('that the server has closed can be opened again after close-ok', async () => {
    const client = await rawChannel(server);
    client.sendMethod(1, 'queue.declare', { queue: unique('missing'), passive: true });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404, classId: 50, methodId: 10 });
    client.sendMethod(1, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
  });

  it('that the server is closing takes no notice of anything before close-ok', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    client.send(
      methodFrame(1, 'queue.declare', { queue: unique('missing'), passive: true }),
      ...Array.from({ length: COPIES }, () => methodFrame(1, 'queue.declare', { queue, exclusive: true })),
    );
    await client.expect('channel.close');
    client.sendMethod(1, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    client.sendMethod(1, 'queue.declare', { queue, passive: true });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404 });
  });

  it('takes the others of its connection no harm when it is closed for an error', async () => {
    const connection = await connectTo(server);
    const [failing, other] = [await connection.createChannel(), await connection.createChannel()];
    failing.on('error', () => undefined);
    await expect(failing.checkQueue(unique('missing'))).rejects.toThrow('NOT_FOUND');
    await other.checkExchange('amq.topic');
  });

  it('answers flow on and refuses flow off', async () => {
    const client = await rawChannel(server);
    expect(await client.call('channel.flow', { active: true }, 'channel.flow-ok')).toMatchObject({
      active: true,
    });
    client.sendMethod(1, 'channel.flow', { active: false });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - active=false',
      classId: 20,
      methodId: 20,
    });
  });

  it('answers access.request with a ticket', async () => {
    const client = await rawChannel(server);
    client.sendMethod(1, 'access.request', {
      realm: '/data',
      passive: true,
      active: true,
      read: true,
      write: true,
    });
    expect(await client.next()).toMatchObject({ type: 'method', channel: 1, name: 'access.request-ok' });
  });

  it('does what was asked for before it is closed', async () => {
    const queue = unique('queue');
    const client = await rawChannel(server);
    client.send(methodFrame(1, 'queue.declare', { queue, exclusive: true }), methodFrame(1, 'channel.close'));
    await client.expect('queue.declare-ok');
    await client.expect('channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    await client.call('queue.declare', { queue, passive: true }, 'queue.declare-ok');
  });
});

onEachServer('a connection is closed', (server) => {
  it.each<[what: string, code: number, text: string | RegExp, cause: (client: RawClient) => void]>([
    [
      'that opens an open channel',
      504,
      "CHANNEL_ERROR - second 'channel.open' seen",
      (client) => client.sendMethod(1, 'channel.open'),
    ],
    [
      'that uses a channel it has not opened',
      504,
      "CHANNEL_ERROR - expected 'channel.open'",
      (client) => client.sendMethod(2, 'basic.qos'),
    ],
    [
      'that sends content without a publication',
      505,
      /^UNEXPECTED_FRAME - /,
      (client) => client.send(frame(FRAME_HEADER, 1, encodeHeader(0, {}))),
    ],
    [
      'that sends a body without a header',
      505,
      /^UNEXPECTED_FRAME - /,
      (client) =>
        client.send(
          methodFrame(1, 'basic.publish', { routingKey: 'x' }),
          frame(FRAME_BODY, 1, Buffer.from('x')),
        ),
    ],
    [
      'that sends a method within a publication',
      505,
      /^UNEXPECTED_FRAME - /,
      (client) =>
        client.send(methodFrame(1, 'basic.publish', { routingKey: 'x' }), methodFrame(1, 'basic.qos')),
    ],
    [
      'that sends a heartbeat on a channel',
      505,
      /^UNEXPECTED_FRAME - /,
      (client) => client.send(frame(FRAME_HEARTBEAT, 1, Buffer.alloc(0))),
    ],
    [
      'that sends a method of servers',
      503,
      /^COMMAND_INVALID - /,
      (client) => client.sendMethod(1, 'queue.declare-ok', { queue: 'x' }),
    ],
  ])('%s: %i', async (_, code, text, cause) => {
    const client = await rawChannel(server);
    cause(client);
    const close = await client.expect('connection.close');
    expect(close).toMatchObject({ replyCode: code, replyText: expect.stringMatching(text) });
  });

  it('that sends a method which is none', async () => {
    const client = await rawChannel(server);
    client.send(frame(FRAME_METHOD, 1, Buffer.from([0, 60, 0, 250])));
    const close = { type: 'method', name: 'connection.close', arguments: { replyCode: 503 } };
    const answers = { RabbitMQ: { type: 'end' }, 'the node': close };
    expect(await client.next()).toMatchObject(server.expected('unknown methods', answers));
  });

  it('that opens more channels than it has asked for', async () => {
    const client = await rawConnection(server);
    await client.open({ channelMax: 1 });
    client.sendMethod(7, 'channel.open');
    await client.expect('channel.open-ok');
    client.sendMethod(1, 'channel.open');
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: expect.stringMatching(/^NOT_ALLOWED - .*channel.*1/),
    });
  });

  it('whose frame does not end with a frame end', async () => {
    const client = await rawChannel(server);
    const broken = methodFrame(1, 'basic.qos');
    broken[broken.length - 1] = 0;
    client.send(broken);
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 501 });
  });

  it('whose frame is larger than frame-max', async () => {
    const client = await rawConnection(server);
    await client.open({ frameMax: 4096 });
    client.sendMethod(1, 'channel.open');
    await client.expect('channel.open-ok');
    client.send(
      methodFrame(1, 'basic.publish', { routingKey: 'x' }),
      frame(FRAME_HEADER, 1, encodeHeader(8000, {})),
      frame(FRAME_BODY, 1, Buffer.alloc(8000)),
    );
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 501 });
  });

  it('and its exclusive queues are gone when the close is answered', async () => {
    const connection = await connectTo(server);
    const channel = await connection.createChannel();
    const queue = unique('queue');
    await channel.assertQueue(queue, { exclusive: true });
    await connection.close();
    const other = await openChannel(server);
    await expect(other.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
  });
});
