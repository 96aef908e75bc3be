import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/amqp-gateway.js';
import { methodFrame, publication } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

describe('a channel', () => {
  it('is opened and closed, and its number can be used again', async () => {
    const { rawChannel, gateway } = await startGateway();
    const client = await rawChannel();
    await client.call('channel.close', {}, 'channel.close-ok');
    expect(gateway.status().channels).toBe(0);
    await client.call('channel.open', {}, 'channel.open-ok');
    await client.call('tx.select', {}, 'tx.select-ok');
  });

  it('closed for an error names the method that caused it', async () => {
    const client = await (await startGateway()).rawChannel();
    expect(await client.call('queue.purge', { queue: 'none' }, 'channel.close')).toMatchObject({
      replyCode: 404,
      replyText: "NOT_FOUND - no queue 'none' in vhost '/'",
      classId: 50,
      methodId: 30,
      channel: 1,
    });
  });

  it('discards what comes between its close and close-ok, contents and nonsense included', async () => {
    const { rawChannel, virtualHost } = await startGateway();
    const client = await rawChannel();
    client.sendMethod(1, 'queue.purge', { queue: 'none' });
    await client.expect('channel.close');
    client.send(
      methodFrame(1, 'queue.declare', { queue: 'late' }),
      publication(1, { exchange: 'none' }, [Buffer.from('x')]),
      Buffer.from([3, 0, 1, 0, 0, 0, 1, 9, 0xce]),
      methodFrame(1, 'basic.ack', { deliveryTag: 5 }),
      methodFrame(1, 'channel.close-ok'),
      methodFrame(1, 'channel.open'),
    );
    await client.expect('channel.open-ok');
    expect(() => virtualHost.queue('late', {})).toThrow('no queue');
  });

  it('is confirmed to be closed where both sides close it at once', async () => {
    const client = await (await startGateway()).rawChannel();
    client.send(methodFrame(1, 'queue.purge', { queue: 'none' }), methodFrame(1, 'channel.close'));
    await client.expect('channel.close');
    await client.expect('channel.close-ok');
    client.send(methodFrame(1, 'channel.close-ok'), methodFrame(1, 'channel.open'));
    await client.expect('channel.open-ok');
  });

  it('that is closed for an error leaves the others of its connection alone', async () => {
    const client = await (await startGateway()).rawChannel();
    client.send(methodFrame(2, 'channel.open'), methodFrame(1, 'queue.purge', { queue: 'none' }));
    await client.expect('channel.open-ok');
    await client.expect('channel.close');
    client.sendMethod(2, 'queue.declare', { exclusive: true });
    expect(await client.expect('queue.declare-ok')).toMatchObject({ channel: 2 });
  });

  it('interleaves the frames of its content with those of other channels', async () => {
    const client = await (await startGateway()).rawChannel();
    const { queue } = await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    client.sendMethod(2, 'channel.open');
    await client.expect('channel.open-ok');
    const [one, two] = [1, 2].map((channel) => {
      const text = Buffer.from(`on channel ${channel}`);
      return cut(publication(channel, { routingKey: queue }, [text.subarray(0, 4), text.subarray(4)]));
    });
    for (let index = 0; index < 4; index++) client.send(one?.[index] ?? none, two?.[index] ?? none);
    await eventually(async () => {
      const { messageCount } = await client.call(
        'queue.declare',
        { queue, passive: true },
        'queue.declare-ok',
      );
      return messageCount === 2;
    });
    for (const channel of [1, 2]) {
      await client.call('basic.get', { queue, noAck: true }, 'basic.get-ok');
      expect((await client.expectContent()).body.toString()).toBe(`on channel ${channel}`);
    }
  });

  it('answers channel.flow that lets deliveries go on', async () => {
    const client = await (await startGateway()).rawChannel();
    expect(await client.call('channel.flow', { active: true }, 'channel.flow-ok')).toMatchObject({
      active: true,
    });
  });

  it('gives a ticket to clients of AMQP 0-8', async () => {
    const client = await (await startGateway()).rawChannel();
    expect(
      await client.call('access.request', { realm: '/data', active: true }, 'access.request-ok'),
    ).toMatchObject({
      ticket: 1,
    });
  });

  it('has the queue that was declared last in mind where a name is left out', async () => {
    const client = await (await startGateway()).rawChannel();
    const { queue } = await client.call('queue.declare', { exclusive: true }, 'queue.declare-ok');
    await client.call('queue.bind', { exchange: 'amq.direct' }, 'queue.bind-ok');
    // Where the routing key is left out as well, it is the queue's name (AMQP 0-9-1 §1.7.2.3).
    client.send(publication(1, { exchange: 'amq.direct', routingKey: queue }, [Buffer.from('x')]));
    await client.call('basic.get', { noAck: true }, 'basic.get-ok');
    await client.expectContent();
    await client.call('queue.unbind', { exchange: 'amq.direct' }, 'queue.unbind-ok');
    await client.call('queue.purge', {}, 'queue.purge-ok');
    await client.call('basic.consume', {}, 'basic.consume-ok');
    await client.call('queue.delete', {}, 'queue.delete-ok');
  });

  it.each(['queue.bind', 'queue.purge', 'queue.delete', 'basic.consume', 'basic.get'] as const)(
    'refuses %s without a name where no queue was declared',
    async (method) => {
      const client = await (await startGateway()).rawChannel();
      expect(await client.call(method, {}, 'channel.close')).toMatchObject({
        replyCode: 404,
        replyText: 'NOT_FOUND - no previously declared queue',
      });
    },
  );
});

const none = Buffer.alloc(0);

/** The frames in some octets. */
function cut(octets: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let rest = octets; rest.length > 0; ) {
    const length = rest.readUInt32BE(3) + 8;
    frames.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return frames;
}
