import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../../src/amqp-gateway/codec/index.js';
import { CLOSE_TIMEOUT_MS } from '../../src/amqp-gateway/limits.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

const header = (bodySize: number) => frame(FRAME_HEADER, 1, encodeHeader(bodySize, {}));
const body = (octets: string) => frame(FRAME_BODY, 1, Buffer.from(octets));
const publish = methodFrame(1, 'basic.publish', { routingKey: 'q' });

const noProperties = { clientProperties: {}, mechanism: 'PLAIN', response: Buffer.alloc(0) };
const noTuning = { channelMax: 0, frameMax: 0, heartbeat: 0 };

describe('a connection is closed with the code of the specification', () => {
  it.each<[string, Buffer[], { replyCode: number; replyText?: string; classId?: number; methodId?: number }]>(
    [
      [
        'a frame end that is none',
        [Buffer.from([1, 0, 1, 0, 0, 0, 4, 0, 90, 0, 10, 0])],
        { replyCode: 501, classId: 0, methodId: 0 },
      ],
      ['an unknown frame type', [frame(4, 1, Buffer.alloc(0))], { replyCode: 501 }],
      ['a frame above frame-max', [Buffer.from([3, 0, 1, 0x7f, 0xff, 0xff, 0xff])], { replyCode: 501 }],
      ['a heartbeat on a channel', [frame(8, 1, Buffer.alloc(0))], { replyCode: 501 }],
      ['a heartbeat with a payload', [frame(8, 0, Buffer.from('x'))], { replyCode: 501 }],
      [
        'content of another class',
        [publish, frame(FRAME_HEADER, 1, Buffer.from([0, 50, ...new Uint8Array(12)]))],
        { replyCode: 501 },
      ],
      [
        'a field beyond its frame',
        [frame(1, 1, Buffer.from([0, 50, 0, 10, 0, 0, 9, 65]))],
        { replyCode: 502, classId: 50, methodId: 10 },
      ],
      [
        'octets behind the arguments',
        [frame(1, 1, Buffer.from([0, 90, 0, 10, 1]))],
        { replyCode: 502, classId: 90, methodId: 10 },
      ],
      ['a method frame without a method', [frame(1, 1, Buffer.alloc(2))], { replyCode: 502 }],
      [
        'a method that is none',
        [frame(1, 1, Buffer.from([0, 60, 3, 231]))],
        { replyCode: 503, classId: 60, methodId: 999 },
      ],
      [
        'a method of a server',
        [methodFrame(1, 'queue.declare-ok')],
        { replyCode: 503, replyText: 'COMMAND_INVALID - unimplemented method' },
      ],
      ['basic.deliver from a client', [methodFrame(1, 'basic.deliver')], { replyCode: 503 }],
      ['basic.cancel-ok, which nobody asked for', [methodFrame(1, 'basic.cancel-ok')], { replyCode: 503 }],
      ['connection.open on a channel', [methodFrame(1, 'connection.open')], { replyCode: 503 }],
      ['channel.close-ok on an open channel', [methodFrame(1, 'channel.close-ok')], { replyCode: 503 }],
      [
        'connection.open once more',
        [methodFrame(0, 'connection.open')],
        { replyCode: 504, classId: 10, methodId: 40 },
      ],
      [
        'connection.start-ok once more',
        [methodFrame(0, 'connection.start-ok', noProperties)],
        { replyCode: 504 },
      ],
      ['connection.tune-ok once more', [methodFrame(0, 'connection.tune-ok', noTuning)], { replyCode: 504 }],
      [
        'connection.secure-ok, which nobody asked for',
        [methodFrame(0, 'connection.secure-ok', { response: Buffer.alloc(0) })],
        { replyCode: 504 },
      ],
      ['connection.close-ok without a close', [methodFrame(0, 'connection.close-ok')], { replyCode: 504 }],
      ['connection.blocked from a client', [methodFrame(0, 'connection.blocked')], { replyCode: 503 }],
      ['channel.flow-ok, which nobody asked for', [methodFrame(1, 'channel.flow-ok')], { replyCode: 503 }],
      ['a method of another class on channel 0', [methodFrame(0, 'queue.purge')], { replyCode: 504 }],
      ['content on channel 0', [frame(FRAME_HEADER, 0, encodeHeader(1, {}))], { replyCode: 504 }],
      [
        'a channel opened twice',
        [methodFrame(1, 'channel.open')],
        { replyCode: 504, replyText: "CHANNEL_ERROR - second 'channel.open' seen" },
      ],
      [
        'a method on a channel that is not open',
        [methodFrame(9, 'tx.select')],
        { replyCode: 504, replyText: "CHANNEL_ERROR - expected 'channel.open'" },
      ],
      ['content on a channel that is not open', [frame(FRAME_BODY, 9, Buffer.from('x'))], { replyCode: 504 }],
      ['channel.close on a channel that is not open', [methodFrame(9, 'channel.close')], { replyCode: 504 }],
      ['a header without a method', [header(1)], { replyCode: 505 }],
      ['a body without a header', [publish, body('x')], { replyCode: 505, classId: 60, methodId: 40 }],
      ['a method where a header is due', [publish, publish], { replyCode: 505 }],
      ['a method where a body is due', [publish, header(2), publish], { replyCode: 505 }],
      ['a header where a body is due', [publish, header(2), header(2)], { replyCode: 505 }],
      ['a body beyond its size', [publish, header(2), body('x'), body('xx')], { replyCode: 505 }],
      [
        'channel.flow that stops deliveries',
        [methodFrame(1, 'channel.flow', { active: false })],
        { replyCode: 540, replyText: 'NOT_IMPLEMENTED - active=false' },
      ],
    ],
  )('for %s', async (_, octets, expected) => {
    const { rawChannel, connect, gateway } = await startGateway();
    const bystander = await (await connect()).createChannel();
    const client = await rawChannel();
    client.send(...octets);
    expect(await client.expect('connection.close')).toMatchObject({ ...expected, channel: 0 });
    client.sendMethod(0, 'connection.close-ok');
    await client.ended();
    await bystander.assertQueue('', { exclusive: true });
    expect(gateway.status()).toMatchObject({ connections: 1, channels: 1 });
  });

  it('as NOT_ALLOWED where it opens more channels than agreed, closed ones not counted', async () => {
    const { raw } = await startGateway();
    const client = await raw();
    await client.open({ channelMax: 2 });
    client.send(methodFrame(1, 'channel.open'), methodFrame(2000, 'channel.open'));
    await client.expect('channel.open-ok');
    await client.expect('channel.open-ok');
    await client.call('channel.close', {}, 'channel.close-ok');
    client.send(methodFrame(2, 'channel.open'), methodFrame(3, 'channel.open'));
    expect(await client.expect('channel.open-ok')).toMatchObject({ channel: 2 });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)',
    });
  });
});

describe('a connection', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('takes frames whose payload is as large as frame-max, as RabbitMQ does', async () => {
    const { raw } = await startGateway();
    const client = await raw();
    await client.open({ frameMax: 4096 });
    await client.call('channel.open', {}, 'channel.open-ok');
    const { queue } = await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: queue }, [Buffer.alloc(4096)]));
    expect(await client.call('queue.purge', { queue }, 'queue.purge-ok')).toMatchObject({ messageCount: 1 });
    client.send(publication(1, { routingKey: queue }, [Buffer.alloc(4097)]));
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 501 });
  });

  it('discards everything but close-ok once it has been closed by this side', async () => {
    const { rawChannel, gateway } = await startGateway();
    const client = await rawChannel();
    client.send(header(1), methodFrame(1, 'queue.declare', { queue: 'late' }), methodFrame(1, 'tx.select'));
    await client.expect('connection.close');
    client.sendMethod(1, 'queue.declare', { queue: 'later' });
    client.sendMethod(0, 'connection.close-ok');
    expect(await client.next()).toEqual({ type: 'end' });
    await eventually(() => gateway.status().connections === 0);
  });

  it('is confirmed to be closed where both sides close it at once', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    client.send(header(1), methodFrame(0, 'connection.close'));
    await client.expect('connection.close');
    await client.expect('connection.close-ok');
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it('is destroyed where the client does not confirm that it is closed', async () => {
    const { rawChannel, gateway } = await startGateway();
    const client = await rawChannel();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    client.send(header(1));
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    vi.advanceTimersByTime(CLOSE_TIMEOUT_MS - 1);
    expect(gateway.status().connections).toBe(1);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    await client.ended();
    await eventually(() => gateway.status().connections === 0);
  });

  it.each(['closes', 'vanishes'])('gives back everything when the client %s', async (way) => {
    const { rawChannel, connect, virtualHost } = await startGateway();
    const other = await (await connect()).createChannel();
    await other.assertQueue('shared');
    const client = await rawChannel();
    await client.call('queue.declare', { queue: 'mine', exclusive: true }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'shared' }, [Buffer.from('x')]));
    await client.call('basic.consume', { queue: 'shared' }, 'basic.consume-ok');
    await client.expect('basic.deliver');
    expect((await other.checkQueue('shared')).messageCount).toBe(0);
    if (way === 'closes') client.sendMethod(0, 'connection.close');
    else client.destroy();
    await eventually(async () => (await other.checkQueue('shared')).messageCount === 1);
    expect((await other.checkQueue('shared')).consumerCount).toBe(0);
    expect(() => virtualHost.queue('mine', {})).toThrow("no queue 'mine'");
  });

  it('that ends loses nothing to its own consumers: what one channel gives back, another one does not take', async () => {
    const { rawChannel, virtualHost } = await startGateway();
    const client = await rawChannel();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(publication(1, { routingKey: 'q' }, [Buffer.from('x')]));
    await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
    await client.expectContent();
    client.send(methodFrame(2, 'channel.open'), methodFrame(2, 'basic.consume', { queue: 'q', noAck: true }));
    await client.expect('channel.open-ok');
    await client.expect('basic.consume-ok');
    client.destroy();
    await eventually(() => virtualHost.queue('q', {}).consumerCount === 0);
    expect(virtualHost.queue('q', {}).messageCount).toBe(1);
  });

  it('answers connection.close with close-ok, and closes the socket', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    client.sendMethod(0, 'connection.close', { replyCode: 200, replyText: 'bye' });
    await client.expect('connection.close-ok');
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it('answers what was asked before the client closed its half of the socket', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    client.sendMethod(1, 'queue.declare', { exclusive: true });
    client.socket.end();
    await client.expect('queue.declare-ok');
    await client.ended();
  });

  it('takes a new secret', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    client.sendMethod(0, 'connection.update-secret', { newSecret: Buffer.from('new'), reason: 'expired' });
    await client.expect('connection.update-secret-ok');
  });
});

describe('closing the gateway', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells every client, and ends when the last has confirmed', async () => {
    const { rawChannel, gateway } = await startGateway();
    const clients = [await rawChannel(), await rawChannel()];
    const closed = gateway.close();
    for (const client of clients) {
      expect(await client.expect('connection.close')).toMatchObject({
        replyCode: 320,
        replyText: "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
      });
      client.sendMethod(0, 'connection.close-ok');
    }
    await closed;
    expect(gateway.status().connections).toBe(0);
  });

  it('does not wait for clients that are still shaking hands', async () => {
    // No time limit comes to the rescue.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const { raw, gateway } = await startGateway();
    await raw();
    await gateway.close();
  });

  it('does not wait for ever for clients that do not answer', async () => {
    const { rawChannel, gateway } = await startGateway();
    const client = await rawChannel();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const closed = gateway.close();
    vi.advanceTimersByTime(CLOSE_TIMEOUT_MS);
    await closed;
    vi.useRealTimers();
    await client.ended();
  });

  it('refuses new clients', async () => {
    const { raw, gateway } = await startGateway();
    await gateway.close();
    await expect(raw()).rejects.toThrow('ECONNREFUSED');
  });
});
