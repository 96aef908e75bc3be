import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeHeader, FRAME_HEADER } from '../../src/amqp-codec/index.js';
import { CLOSE_TIMEOUT_MS } from '../../src/amqp-gateway/limits.js';
import { startGateway } from '../support/amqp-gateway.js';
import { frame, methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

const header = (bodySize: number) => frame(FRAME_HEADER, 1, encodeHeader(bodySize, {}));

describe('a connection is closed', () => {
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
      classId: 0,
      methodId: 0,
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

  it('answers connection.close with close-ok as often as it comes, and leaves closing the socket to the client', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    const close = methodFrame(0, 'connection.close', { replyCode: 200, replyText: 'bye' });
    client.send(close, close, methodFrame(1, 'basic.qos'));
    for (let count = 0; count < 2; count++) await client.expect('connection.close-ok');
    client.send(close);
    await client.expect('connection.close-ok');
    client.socket.end();
    expect(await client.next()).toEqual({ type: 'end' });
  });

  it('closes the socket some time after close-ok where the client does not', async () => {
    const { rawChannel } = await startGateway();
    const client = await rawChannel();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    client.sendMethod(0, 'connection.close');
    await client.expect('connection.close-ok');
    vi.advanceTimersByTime(CLOSE_TIMEOUT_MS);
    vi.useRealTimers();
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
