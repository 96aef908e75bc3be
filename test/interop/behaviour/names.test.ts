import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import { expect, it } from 'vitest';
import { consume, drain, openChannel, openConfirmChannel, rawChannel, unique } from './app.js';
import { expectRefusal } from './refusal.js';
import { onEachServer } from './server.js';

/** 255 octets of UTF-8, as long as a short string can be. */
function longest(start: string): string {
  const name = unique(start);
  const umlauts = Math.floor((255 - Buffer.byteLength(name)) / 2);
  return `${name}${'ü'.repeat(umlauts)}`.padEnd(255 - umlauts, '-');
}

onEachServer('names of 255 octets', (server) => {
  it('work for everything that has a name', async () => {
    const channel = await openConfirmChannel(server);
    const [queue, exchange, key, tag] = ['queue', 'exchange', 'key', 'tag'].map(longest) as [
      string,
      string,
      string,
      string,
    ];
    expect(Buffer.byteLength(queue)).toBe(255);
    await channel.assertQueue(queue, { exclusive: true });
    await channel.assertExchange(exchange, 'topic', { autoDelete: true });
    await channel.bindQueue(queue, exchange, key);
    const inbox = await consume(channel, queue, { consumerTag: tag, noAck: true });
    channel.publish(exchange, key, Buffer.from('x'));
    await inbox.holds('x');
    expect(inbox.message(0).fields).toMatchObject({ consumerTag: tag, exchange, routingKey: key });
    await channel.cancel(tag);
    await channel.unbindQueue(queue, exchange, key);
    await channel.deleteQueue(queue);
  });

  it('are cut in the text of a refusal, which cannot be longer itself', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue').padEnd(255, '-');
    client.sendMethod(1, 'queue.declare', { queue, passive: true });
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 404,
      replyText: `${`NOT_FOUND - no queue '${queue}`.slice(0, 252)}...`,
    });
  });
});

onEachServer('a name', (server) => {
  it('loses its line ends when it is declared', async () => {
    const channel = await openChannel(server);
    const name = unique('name');
    const { queue } = await channel.assertQueue(`\r${name}\n`, { exclusive: true });
    expect(queue).toBe(name);
    await expect((await openChannel(server)).get(`${name}\n`)).rejects.toThrow('NOT_FOUND');
    await channel.assertExchange(`${name}\r\n`, 'fanout', { autoDelete: true });
    await channel.bindQueue(name, name, '');
  });

  it('loses them wherever something is declared, bound, unbound or deleted', async () => {
    const channel = await openChannel(server);
    const name = unique('name');
    const broken = `\n${name.slice(0, 3)}\r\n${name.slice(3)}\r`;
    await channel.assertQueue(name, { durable: false });
    await channel.assertExchange(name, 'fanout', { durable: false });
    await channel.checkQueue(broken);
    await channel.checkExchange(broken);
    await channel.bindQueue(broken, broken, '');
    await channel.unbindQueue(broken, broken, '');
    await channel.bindExchange(broken, 'amq.fanout', '');
    await channel.unbindExchange(broken, 'amq.fanout', '');
    await channel.deleteQueue(broken);
    await channel.deleteExchange(broken);
    await expect((await openChannel(server)).checkQueue(name)).rejects.toThrow('NOT_FOUND');
    await expect((await openChannel(server)).checkExchange(name)).rejects.toThrow('NOT_FOUND');
  });

  it.each<[string, (channel: Channel, name: string) => Promise<unknown>]>([
    ['basic.get', (channel, name) => channel.get(name)],
    ['basic.consume', (channel, name) => channel.consume(name, () => undefined)],
    ['queue.purge', (channel, name) => channel.purgeQueue(name)],
  ])('keeps them in %s, where there is nothing of this name then', async (_, use) => {
    const name = unique('name');
    const owner = await openChannel(server);
    await owner.assertQueue(name, { exclusive: true });
    const broken = `${name}\n`;
    const text = `NOT_FOUND - no queue '${broken}' in vhost '/'`;
    await expectRefusal(server, (channel) => use(channel, broken), 'channel', 404, text);
  });

  it('that is nothing but line ends is one of the choice of the server, or none', async () => {
    const channel = await openChannel(server);
    const { queue } = await channel.assertQueue('\r\n', { exclusive: true });
    expect(queue).toMatch(/^amq\.gen-/);
    const passive = (other: Channel) => other.checkQueue('\n');
    await expectRefusal(server, passive, 'channel', 404, "NOT_FOUND - no queue '' in vhost '/'");
    await channel.deleteQueue('\n');
    await channel.checkQueue(queue);
  });

  it.each(['日本語', 'with spaces', 'slash/es', '"quotes"', "'single'", '🐇', '%20', '#'])(
    'may be %s',
    async (name) => {
      const channel = await openChannel(server);
      const queue = unique(name);
      await channel.assertQueue(queue, { exclusive: true });
      channel.sendToQueue(queue, Buffer.from(name));
      expect(await drain(channel, queue)).toEqual([name]);
    },
  );

  it('of a virtual host may hold a slash at the end of a URL only when it is written as %2f', async () => {
    const connection = await connect(server.url().replace(/\/[^/]*$/, '/%2F'));
    await connection.close();
  });
});
