import type { ConfirmChannel } from 'amqplib';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { BusSpaces } from '../examples/custom-implementation.js';
import type { NodeOptions } from '../src/index.js';
import { createMemoryImplementation, createNode, MemoryNetwork } from '../src/index.js';
import { eventually } from './support/eventually.js';
import { teardown } from './support/teardown.js';

const ANYWHERE: NodeOptions = {
  amqpListen: ['127.0.0.1:0'],
  overlayListen: ['/ip4/127.0.0.1/tcp/0'],
  managementListen: 'off',
  inMemory: true,
  logLevel: 'silent',
};

/** A node of this process with the implementation of the example, and a channel of an app of it. */
async function start(): Promise<ConfirmChannel> {
  const node = await createNode({ ...ANYWHERE, implementations: [new BusSpaces()] });
  teardown(() => node.stop());
  const client = await connect(node.amqp[0] ?? '');
  client.on('error', () => {});
  teardown(() => client.close().catch(() => {}));
  const channel = await client.createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}

function point(exchangetype = 'topic', name = 'bids') {
  const exchangespace = { implementation: 'bus', space: 'market' };
  return { arguments: { exchangespace, exchangename: name, exchangetype } };
}

/** A queue bound to an alias, and what came into it so far. */
async function watch(channel: ConfirmChannel, exchange: string, key: string): Promise<string[]> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, key);
  const bodies: string[] = [];
  await channel.consume(queue, (message) => message && bodies.push(message.content.toString()), {
    noAck: true,
  });
  return bodies;
}

describe('an implementation of a program that embeds nodes', () => {
  it('is one like any other: apps of two nodes share a point, each with its own alias and bindings', async () => {
    const [alice, bob] = [await start(), await start()];
    await alice.assertExchange('market', 'x-exchangespace', { arguments: { implementation: 'bus' } });
    await alice.assertExchange('hers', 'x-exchange', point());
    await bob.assertExchange('his', 'x-exchange', point());
    const [hers, his] = [await watch(alice, 'hers', 'copper.#'), await watch(bob, 'his', '#')];
    for (let number = 0; number < 100; number++)
      alice.publish('hers', 'copper.lima', Buffer.from(`a${number}`));
    await alice.waitForConfirms();
    bob.publish('his', 'tin.london', Buffer.from('tin'));
    bob.publish('his', 'copper.london', Buffer.from('last'));
    await eventually(() => expect(hers.at(-1)).toBe('last'));
    await eventually(() => expect(his.filter((body) => body.startsWith('a'))).toHaveLength(100));
    const fromAlice = Array.from({ length: 100 }, (_, number) => `a${number}`);
    expect(hers).toEqual([...fromAlice, 'last']);
    expect(his.filter((body) => body.startsWith('a'))).toEqual(fromAlice);
    expect(his.filter((body) => !body.startsWith('a'))).toEqual(['tin', 'last']);
  });

  it('has its refusals told to apps', async () => {
    const [alice, bob] = [await start(), await start()];
    await alice.assertExchange('hers', 'x-exchange', point());
    await expect(bob.assertExchange('his', 'x-exchange', point('fanout'))).rejects.toThrow(
      "PRECONDITION_FAILED - inequivalent arg 'exchangetype' for exchange point 'bids' in space 'market'",
    );
    const exchangespace = { implementation: 'bus', space: 'market', seeds: ['a:1'] };
    await expect(
      alice.assertExchange('other', 'x-exchange', {
        arguments: { exchangespace, exchangename: 'bids', exchangetype: 'topic' },
      }),
    ).rejects.toThrow("argument 'seeds' is not understood by implementation 'bus'");
  });

  it('of a name that is taken is refused, and so are bad settings', async () => {
    const memory = () => createMemoryImplementation(new MemoryNetwork());
    await expect(createNode({ ...ANYWHERE, implementations: [memory(), memory()] })).rejects.toThrow(
      "implementations: the name 'memory' is taken by another one",
    );
    const dht = { ...memory(), name: 'dht' };
    await expect(createNode({ ...ANYWHERE, implementations: [dht] })).rejects.toThrow(
      "the name 'dht' is taken",
    );
    await expect(createNode({ ...ANYWHERE, memoryLimit: '200%' })).rejects.toThrow(/^memory-limit: expected/);
  });
});
