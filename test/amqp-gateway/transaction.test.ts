import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/amqp-gateway.js';
import type { RawClient } from '../support/amqp-raw-client.js';
import { publication } from '../support/amqp-raw-client.js';

async function transactional() {
  const gateway = await startGateway();
  const client = await gateway.rawChannel();
  await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
  await client.call('tx.select', {}, 'tx.select-ok');
  return { ...gateway, client };
}

const message = (text: string) => publication(1, { routingKey: 'q' }, [Buffer.from(text)]);

async function ready(client: RawClient): Promise<number> {
  const { messageCount } = await client.call(
    'queue.declare',
    { queue: 'q', passive: true },
    'queue.declare-ok',
  );
  return messageCount;
}

async function get(client: RawClient): Promise<string> {
  await client.call('basic.get', { queue: 'q' }, 'basic.get-ok');
  return (await client.expectContent()).body.toString();
}

describe('a transaction', () => {
  it('publishes at its commit, in order', async () => {
    const { client } = await transactional();
    client.send(message('1'), message('2'));
    expect(await ready(client)).toBe(0);
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect([await get(client), await get(client)]).toEqual(['1', '2']);
  });

  it('publishes nothing when it is rolled back, or its channel ends', async () => {
    const { client, memory } = await transactional();
    client.send(message('1'));
    await client.call('tx.rollback', {}, 'tx.rollback-ok');
    await client.call('tx.commit', {}, 'tx.commit-ok');
    client.send(message('2'));
    await client.call('channel.close', {}, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    expect(await ready(client)).toBe(0);
    expect(memory.bytes).toBe(0);
  });

  it('acknowledges at its commit', async () => {
    const { client, virtualHost } = await transactional();
    client.send(message('1'), message('2'), message('3'));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    for (let count = 0; count < 3; count++) await get(client);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    client.sendMethod(1, 'basic.reject', { deliveryTag: 2 });
    client.sendMethod(1, 'basic.nack', { deliveryTag: 3, requeue: true });
    expect(await ready(client)).toBe(0);
    const queue = virtualHost.queue('q', {});
    expect(queue.unacknowledgedCount).toBe(3);
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(queue.unacknowledgedCount).toBe(0);
    expect(await ready(client)).toBe(1);
    expect(await get(client)).toBe('3');
  });

  it('takes its acknowledgements back when it is rolled back: they can be given again', async () => {
    const { client, virtualHost } = await transactional();
    client.send(message('1'), message('2'), message('3'));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    for (let count = 0; count < 3; count++) await get(client);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 2 });
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await client.call('tx.rollback', {}, 'tx.rollback-ok');
    // In their old order, or `multiple` would mean something else.
    client.sendMethod(1, 'basic.ack', { deliveryTag: 2, multiple: true });
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(virtualHost.queue('q', {}).unacknowledgedCount).toBe(1);
  });

  it('requeues what it acknowledged when its channel ends before the commit', async () => {
    const { client } = await transactional();
    client.send(message('1'));
    await client.call('tx.commit', {}, 'tx.commit-ok');
    await get(client);
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    await client.call('channel.close', {}, 'channel.close-ok');
    await client.call('channel.open', {}, 'channel.open-ok');
    expect(await client.call('basic.get', { queue: 'q' }, 'basic.get-ok')).toMatchObject({
      redelivered: true,
    });
  });

  it('checks a delivery tag at once and not at its commit', async () => {
    const { client } = await transactional();
    client.sendMethod(1, 'basic.ack', { deliveryTag: 1 });
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 406 });
  });

  it('returns mandatory messages before commit-ok', async () => {
    const { client } = await transactional();
    client.send(publication(1, { routingKey: 'none', mandatory: true }, [Buffer.from('x')]));
    client.sendMethod(1, 'tx.commit');
    await client.expect('basic.return');
    await client.expectContent();
    await client.expect('tx.commit-ok');
  });

  it.each(['went away', 'was replaced'])(
    'does nothing at all where an exchange %s before the commit',
    async (what) => {
      const { client, virtualHost } = await transactional();
      await client.call('exchange.declare', { exchange: 'x', type: 'fanout' }, 'exchange.declare-ok');
      client.send(message('1'), publication(1, { exchange: 'x' }, [Buffer.from('2')]));
      await client.call('exchange.delete', { exchange: 'x' }, 'exchange.delete-ok');
      if (what === 'was replaced') {
        await client.call('exchange.declare', { exchange: 'x', type: 'direct' }, 'exchange.declare-ok');
      }
      expect(await client.call('tx.commit', {}, 'channel.close')).toMatchObject({
        replyCode: 404,
        classId: 90,
        methodId: 20,
      });
      expect(virtualHost.queue('q', {}).messageCount).toBe(0);
    },
  );

  it.each([
    ['an exchange that is not there', 404],
    ['an internal exchange', 403],
  ])('refuses a message to %s at once', async (what, replyCode) => {
    const { client } = await transactional();
    await client.call(
      'exchange.declare',
      { exchange: 'x', type: 'fanout', internal: true },
      'exchange.declare-ok',
    );
    client.send(publication(1, { exchange: what.includes('internal') ? 'x' : 'none' }, [Buffer.from('x')]));
    expect(await client.expect('channel.close')).toMatchObject({ replyCode });
  });

  it('is begun once: tx.select again changes nothing', async () => {
    const { client } = await transactional();
    client.send(message('1'));
    await client.call('tx.select', {}, 'tx.select-ok');
    await client.call('tx.commit', {}, 'tx.commit-ok');
    expect(await ready(client)).toBe(1);
  });
});

it.each([
  ['tx.commit', 'channel is not transactional'],
  ['tx.rollback', 'channel is not transactional'],
] as const)('%s without tx.select is refused', async (method, text) => {
  const client = await (await startGateway()).rawChannel();
  expect(await client.call(method, {}, 'channel.close')).toMatchObject({
    replyCode: 406,
    replyText: `PRECONDITION_FAILED - ${text}`,
  });
});

it('a channel is transactional or confirms, and not both', async () => {
  const client = await (await startGateway()).rawChannel();
  await client.call('tx.select', {}, 'tx.select-ok');
  expect(await client.call('confirm.select', {}, 'channel.close')).toMatchObject({
    replyText: 'PRECONDITION_FAILED - cannot switch from tx to confirm mode',
  });
  client.sendMethod(1, 'channel.close-ok');
  await client.call('channel.open', {}, 'channel.open-ok');
  await client.call('confirm.select', {}, 'confirm.select-ok');
  expect(await client.call('tx.select', {}, 'channel.close')).toMatchObject({
    replyText: 'PRECONDITION_FAILED - cannot switch from confirm to tx mode',
  });
});
