import { expect, it } from 'vitest';
import {
  consume,
  drain,
  hold,
  openChannel,
  openConfirmChannel,
  ownQueue,
  rawChannel,
  send,
  settled,
  sharedQueue,
} from './app.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

const bodies = Array.from({ length: 10 }, (_, index) => String(index));

onEachServer('prefetch', (server) => {
  it('of consumers limits each of them by itself', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(2);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    await settled(channel, queue);
    expect([one.bodies, two.bodies]).toEqual([
      ['0', '1'],
      ['2', '3'],
    ]);
  });

  it('of consumers is for those that come later', async () => {
    const { channel, queue } = await filled(server);
    const other = await ownQueue(channel);
    await channel.prefetch(1);
    const early = await consume(channel, queue);
    await channel.prefetch(3);
    const late = await consume(channel, queue);
    await consume(channel, other);
    await settled(channel, queue);
    expect([early.bodies, late.bodies]).toEqual([['0'], ['1', '2', '3']]);
  });

  it('of 0 is no limit', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(0);
    const inbox = await consume(channel, queue);
    await inbox.holds(...bodies);
  });

  it('of the channel limits its consumers together', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(3, true);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    await settled(channel, queue);
    expect([...one.bodies, ...two.bodies].sort()).toEqual(['0', '1', '2']);
    channel.ack(one.message(0));
    await settled(channel, queue);
    expect([...one.bodies, ...two.bodies].sort()).toEqual(['0', '1', '2', '3']);
  });

  it('of consumers, then of the channel holds both', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(2);
    await channel.prefetch(3, true);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    await settled(channel, queue);
    expect([one.bodies, two.bodies]).toEqual([['0', '1'], ['2']]);
  });

  it('of the channel, then of consumers holds for consumers alone', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(3, true);
    await channel.prefetch(2);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    await settled(channel, queue);
    expect([one.bodies, two.bodies]).toEqual([
      ['0', '1'],
      ['2', '3'],
    ]);
  });

  it('lets the next message go for each that is acknowledged, or given up', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(1);
    const inbox = await consume(channel, queue);
    await inbox.holds('0');
    channel.ack(inbox.message(0));
    await inbox.holds('0', '1');
    channel.reject(inbox.message(1), false);
    await inbox.holds('0', '1', '2');
    channel.nack(inbox.message(2), false, false);
    await inbox.holds('0', '1', '2', '3');
  });

  it('does not hold for consumers without acknowledgements', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(1);
    const inbox = await consume(channel, queue, { noAck: true });
    await inbox.holds(...bodies);
  });

  it('does not hold for basic.get', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(1);
    for (const body of bodies) {
      const message = await hold(channel, queue);
      expect(message.content.toString()).toBe(body);
    }
  });

  it('shares a queue out in turn', async () => {
    const channel = await openConfirmChannel(server);
    const queue = await ownQueue(channel);
    const [one, two] = [await consume(channel, queue), await consume(channel, queue)];
    send(channel, queue, ...bodies);
    await channel.waitForConfirms();
    await settled(channel, queue);
    expect([one.bodies, two.bodies]).toEqual([
      ['0', '2', '4', '6', '8'],
      ['1', '3', '5', '7', '9'],
    ]);
  });

  it('of a channel without room passes the others by', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(1);
    const full = await consume(channel, queue);
    await full.holds('0');
    const free = await consume(await openChannel(server), queue, { noAck: true });
    await free.holds(...bodies.slice(1));
  });

  it('in octets is refused with 540', async () => {
    const client = await rawChannel(server);
    client.sendMethod(1, 'basic.qos', { prefetchSize: 1000 });
    expect(await client.expect('connection.close')).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - prefetch_size!=0 (1000)',
    });
  });

  it('that is made smaller than what is out waits until it is below', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(4, true);
    const inbox = await consume(channel, queue);
    await inbox.holds('0', '1', '2', '3');
    await channel.prefetch(2, true);
    channel.ack(inbox.message(0));
    channel.ack(inbox.message(1));
    await settled(channel, queue);
    expect(inbox.bodies).toEqual(['0', '1', '2', '3']);
    channel.ack(inbox.message(2));
    await inbox.holds('0', '1', '2', '3', '4');
  });
});

onEachServer('a queue with messages left over', (server) => {
  it('gives them to whoever comes next', async () => {
    const { channel, queue } = await filled(server);
    await channel.prefetch(1);
    const inbox = await consume(channel, queue);
    await inbox.holds('0');
    expect(await drain(channel, queue)).toEqual(bodies.slice(1));
  });
});

async function filled(server: Server) {
  const channel = await openConfirmChannel(server);
  const queue = await sharedQueue(channel);
  send(channel, queue, ...bodies);
  await channel.waitForConfirms();
  return { channel, queue };
}
