import type { ConfirmChannel } from 'amqplib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NodeProcess } from '../support/node-process.js';
import { spaceArguments } from '../support/space-arguments.js';
import { startNodes } from '../support/start-node.js';
import { bodiesUntil, openChannel, refusalOf } from './amqplib-support.js';

let rivals: readonly [NodeProcess, NodeProcess];
let third: NodeProcess;

beforeAll(async () => {
  const [one, other, joiner] = await startNodes('one', 'other', 'third');
  rivals = [one, other];
  third = joiner;
});

async function declareSpace(channel: ConfirmChannel, more: object = {}): Promise<void> {
  const args = { ...spaceArguments('dht'), ...more };
  await channel.assertExchange('market', 'x-exchangespace', { durable: false, arguments: args });
}

/** Joins `bids`, a fanout point, through these nodes. */
async function join(
  channel: ConfirmChannel,
  alias: string,
  through: readonly NodeProcess[],
  owner?: NodeProcess,
) {
  const seeds = through.flatMap(({ overlay }) => overlay);
  const exchangespace = {
    implementation: 'dht',
    space: 'market',
    seeds,
    ...(owner && { owner: owner.peerId }),
  };
  await channel.assertExchange(alias, 'x-exchange', {
    durable: false,
    arguments: { exchangespace, exchangename: 'bids', exchangetype: 'fanout' },
  });
}

async function boundQueue(channel: ConfirmChannel, exchange: string): Promise<string> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, '');
  return queue;
}

describe('two nodes that declared spaces of one name', () => {
  it('have two spaces: who pins an owner joins that one, who pins none is refused and told both, and nothing is mixed', async () => {
    const channels = [await openChannel(rivals[0]), await openChannel(rivals[1])] as const;
    for (const [index, channel] of channels.entries()) {
      await declareSpace(channel);
      await join(channel, 'bids', [], rivals[index]);
    }

    const refusal = await refusalOf(third.amqpUrl, (channel) => join(channel, 'unpinned', rivals));
    expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
    for (const { peerId } of rivals) expect(refusal.text).toContain(peerId);
    expect(refusal.text).toContain('exchangespace.owner');

    const joiner = await openChannel(third);
    const aliases = ['ours', 'theirs'] as const;
    for (const [index, alias] of aliases.entries()) await join(joiner, alias, rivals, rivals[index]);
    const queues: string[] = [];
    for (const alias of aliases) queues.push(await boundQueue(joiner, alias));
    const rivalQueues: string[] = [];
    for (const channel of channels) rivalQueues.push(await boundQueue(channel, 'bids'));
    for (const [index, channel] of channels.entries()) {
      for (const body of [`of ${index}`, 'end']) channel.publish('bids', '', Buffer.from(body));
      await channel.waitForConfirms();
    }
    for (const [index, alias] of aliases.entries()) {
      const bodies = await bodiesUntil(joiner, queues[index] ?? '', 'end');
      expect(bodies).toEqual([`of ${index}`, 'end']);
      joiner.publish(alias, '', Buffer.from(`through ${alias}`));
      joiner.publish(alias, '', Buffer.from('last'));
    }
    await joiner.waitForConfirms();
    for (const [index, channel] of channels.entries()) {
      const bodies = await bodiesUntil(channel, rivalQueues[index] ?? '', 'last');
      expect(bodies).toEqual([`of ${index}`, 'end', `through ${aliases[index]}`, 'last']);
    }
  });

  it('and one that comes later, and can see the first, is refused and told whose it is', async () => {
    const refusal = await refusalOf(third.amqpUrl, (channel) =>
      declareSpace(channel, { seeds: [...rivals[0].overlay] }),
    );
    expect(refusal).toMatchObject({ scope: 'channel', code: 406 });
    expect(refusal.text).toMatch(/space 'market' is owned by 12D3\w+; this node is 12D3/);
  });
});
