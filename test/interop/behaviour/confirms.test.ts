import { expect, it } from 'vitest';
import type { RawClient } from '../../support/amqp-raw-client.js';
import { publication } from '../../support/amqp-raw-client.js';
import { openConfirmChannel, ownExchange, ownQueue, rawChannel, unique } from './app.js';
import { onEachServer } from './server.js';

onEachServer('a confirming channel', (server) => {
  it('numbers publications from one, whether they were routed or not', async () => {
    const client = await confirming();
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    for (const [index, routingKey] of [queue, unique('missing'), queue].entries()) {
      client.send(publication(1, { routingKey }, [Buffer.from('x')]));
      expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: index + 1, multiple: false });
    }
  });

  it('counts from confirm.select on, and does not start again when that is repeated', async () => {
    const client = await rawChannel(server);
    client.send(publication(1, { routingKey: unique('missing') }, [Buffer.from('not counted')]));
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: unique('missing') }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
    await client.call('confirm.select', {}, 'confirm.select-ok');
    client.send(publication(1, { routingKey: unique('missing') }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 2 });
  });

  it('confirms each of many once, some of them together', async () => {
    const client = await confirming();
    const queue = unique('queue');
    await client.call('queue.declare', { queue, exclusive: true }, 'queue.declare-ok');
    const count = 500;
    client.send(
      ...Array.from({ length: count }, () => publication(1, { routingKey: queue }, [Buffer.from('x')])),
    );
    const confirmed = new Set<number>();
    let upTo = 0;
    while (confirmed.size < count) {
      const { deliveryTag, multiple } = await client.expect('basic.ack');
      for (let tag = multiple ? upTo + 1 : Number(deliveryTag); tag <= Number(deliveryTag); tag++) {
        if (!multiple) expect(confirmed).not.toContain(tag);
        confirmed.add(tag);
      }
      if (multiple) upTo = Number(deliveryTag);
    }
    expect(Math.max(...confirmed)).toBe(count);
  });

  it('confirms persistent messages in durable queues', async () => {
    const channel = await openConfirmChannel(server);
    const { queue } = await channel.assertQueue(unique('durable'), { durable: true });
    channel.sendToQueue(queue, Buffer.from('x'), { persistent: true });
    await channel.waitForConfirms();
    await channel.deleteQueue(queue);
  });

  it('confirms what an exchange without bindings drops', async () => {
    const channel = await openConfirmChannel(server);
    channel.publish(await ownExchange(channel, 'fanout'), '', Buffer.from('x'));
    await channel.waitForConfirms();
  });

  it('cannot become transactional: 406', async () => {
    const client = await confirming();
    client.sendMethod(1, 'tx.select');
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode: 406,
      replyText: 'PRECONDITION_FAILED - cannot switch from confirm to tx mode',
    });
  });

  it('that was asked without waiting says nothing', async () => {
    const client = await rawChannel(server);
    client.sendMethod(1, 'confirm.select', { noWait: true });
    client.send(publication(1, { routingKey: unique('missing') }, [Buffer.from('x')]));
    expect(await client.expect('basic.ack')).toMatchObject({ deliveryTag: 1 });
  });

  it('confirms what it published to several queues once', async () => {
    const channel = await openConfirmChannel(server);
    const exchange = await ownExchange(channel, 'fanout');
    for (let queues = 0; queues < 3; queues++) await channel.bindQueue(await ownQueue(channel), exchange, '');
    let confirmed = 0;
    channel.publish(exchange, '', Buffer.from('x'), {}, () => {
      confirmed++;
    });
    await channel.waitForConfirms();
    expect(confirmed).toBe(1);
  });

  async function confirming(): Promise<RawClient> {
    const client = await rawChannel(server);
    await client.call('confirm.select', {}, 'confirm.select-ok');
    return client;
  }
});
