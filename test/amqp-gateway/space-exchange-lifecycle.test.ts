import type { ConfirmChannel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import type { PointSession } from '../../src/overlay/index.js';
import { createMemoryImplementation, MemoryNetwork } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { ManualHandle, ManualSpaces } from './manual-spaces.js';
import type { SpaceNode } from './space-exchange-fixture.js';
import {
  bodies,
  boundQueue,
  join,
  point,
  publish,
  refusalOf,
  startMarket,
  startSpaceNode,
} from './space-exchange-fixture.js';

/** Alice publishes to `here`; Bob has a queue that is bound to `there` with `#`. */
async function aliceAndBob(options = {}) {
  const [alice, bob] = await startMarket('alice', 'bob');
  const [here, there] = [await alice.channel(), await bob.channel()];
  await join(here, 'here', point('bids'));
  await join(there, 'there', point('bids'), options);
  const queue = await boundQueue(there, 'there');
  return { alice, bob, here, there, queue };
}

async function isGone(node: SpaceNode, exchange: string): Promise<void> {
  await eventually(() => expect(node.virtualHost.findExchange(exchange)).toBeUndefined());
}

/** A participant without a gateway, that sees who else is there. */
async function observer() {
  const network = new MemoryNetwork();
  const market = { space: 'market', settings: {} };
  const owner = createMemoryImplementation(network);
  const handle = await owner.declareSpace(market);
  const bids = { name: 'bids', type: 'topic', arguments: {} } as const;
  const receiver = { receive: () => {}, deleted: () => {} };
  const session: PointSession = await owner.join({ ...market, point: bids }, receiver);
  const node = await startSpaceNode(createMemoryImplementation(network));
  const channel = await node.channel();
  await join(channel, 'b', point('bids'));
  const interest = () => session.status().participants.map((one) => one.interest);
  return { handle, session, interest, node, channel };
}

describe('deleting an alias', () => {
  it('leaves the point, which the others see, and does not touch what they have', async () => {
    const { interest, channel, session } = await observer();
    expect(interest()).toEqual([0]);
    await boundQueue(channel, 'b');
    expect(interest()).toEqual([1]);
    await channel.deleteExchange('b');
    expect(interest()).toEqual([]);
    expect(session.status().state).toBe('joined');
  });

  it('ends what its queues get, and leaves them and what is in them alone', async () => {
    const { here, there, queue } = await aliceAndBob();
    await publish(here, 'here', 'before');
    await there.deleteExchange('there');
    await publish(here, 'here', 'after');
    expect(await bodies(there, queue)).toEqual(['before']);
  });

  it('makes publishing to it not found', async () => {
    const { bob, there } = await aliceAndBob();
    await there.deleteExchange('there');
    expect(await refusalOf(bob, (channel) => publish(channel, 'there', 'x'))).toEqual({
      scope: 'channel',
      code: 404,
      text: "NOT_FOUND - no exchange 'there' in vhost '/'",
    });
  });

  it('can be followed by declaring it again, for another point if need be', async () => {
    const { here, there, queue } = await aliceAndBob();
    await there.deleteExchange('there');
    await join(there, 'there', point('asks'));
    await join(here, 'asks', point('asks'));
    await there.bindQueue(queue, 'there', '#');
    await publish(here, 'here', 'bid');
    await publish(here, 'asks', 'ask');
    expect(await bodies(there, queue)).toEqual(['ask']);
  });

  it('ends the point where it was the last, so that it can be defined anew', async () => {
    const { bob, here, there } = await aliceAndBob();
    await here.deleteExchange('here');
    expect(await refusalOf(bob, (channel) => join(channel, 'new', point('bids', 'direct')))).toMatchObject({
      code: 406,
    });
    await there.deleteExchange('there');
    await join(there, 'new', point('bids', 'direct'));
  });

  it('is refused where it is used and if-unused was asked for, and then it works on', async () => {
    const { interest, node, channel } = await observer();
    const queue = await boundQueue(channel, 'b');
    const refusal = await refusalOf(node, (other) => other.deleteExchange('b', { ifUnused: true }));
    expect(refusal).toMatchObject({
      code: 406,
      text: "PRECONDITION_FAILED - exchange 'b' in vhost '/' in use",
    });
    expect(interest()).toEqual([1]);
    await channel.unbindQueue(queue, 'b', '#');
    await channel.deleteExchange('b', { ifUnused: true });
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    expect(interest()).toEqual([]);
  });

  it('that is not there, or was deleted already, succeeds', async () => {
    const { there } = await aliceAndBob();
    await there.deleteExchange('there');
    await there.deleteExchange('there');
    await there.deleteExchange('never there');
  });
});

describe('interest ends', () => {
  it.each<[string, (channel: ConfirmChannel, queue: string) => Promise<unknown>]>([
    ['the queue is unbound', (channel, queue) => channel.unbindQueue(queue, 'b', '#')],
    ['the queue is deleted', (channel, queue) => channel.deleteQueue(queue)],
  ])('when %s', async (_, end) => {
    const { interest, channel } = await observer();
    const queue = await boundQueue(channel, 'b');
    expect(interest()).toEqual([1]);
    await end(channel, queue);
    expect(interest()).toEqual([0]);
  });

  it('when the client leaves, and its exclusive queue with it', async () => {
    const { interest, node } = await observer();
    const client = await node.connect();
    await boundQueue(await client.createConfirmChannel(), 'b');
    expect(interest()).toEqual([1]);
    await client.close();
    await eventually(() => expect(interest()).toEqual([0]));
  });

  it('when the last of several queues with the same binding is gone', async () => {
    const { interest, channel } = await observer();
    const [first, second] = [await boundQueue(channel, 'b', 'k'), await boundQueue(channel, 'b', 'k')];
    await channel.bindQueue(first, 'b', 'k');
    await channel.unbindQueue(first, 'b', 'k');
    expect(interest()).toEqual([1]);
    await channel.deleteQueue(second);
    expect(interest()).toEqual([0]);
  });

  it('when an exchange that it was bound to is unbound or deleted', async () => {
    const { interest, channel } = await observer();
    await channel.assertExchange('inside', 'fanout');
    await channel.bindExchange('inside', 'b', 'one');
    await channel.bindExchange('inside', 'b', 'two');
    expect(interest()).toEqual([2]);
    await channel.unbindExchange('inside', 'b', 'one');
    expect(interest()).toEqual([1]);
    await channel.deleteExchange('inside');
    expect(interest()).toEqual([0]);
  });

  it('and no message goes to a node that has none', async () => {
    const { session, channel } = await observer();
    const queue = await boundQueue(channel, 'b', 'k');
    await channel.unbindQueue(queue, 'b', 'k');
    await join(channel, 'other', point('bids'));
    await publish(channel, 'other', 'k');
    const [participant] = session.status().participants;
    expect(participant).toMatchObject({ interest: 0, sentMessages: 0, receivedMessages: 0 });
  });
});

describe('an alias', () => {
  it('with auto-delete goes, and leaves the point, with its last binding', async () => {
    const { alice, bob, here, there, queue } = await aliceAndBob({ autoDelete: true });
    await there.bindQueue(queue, 'there', 'more');
    await there.unbindQueue(queue, 'there', '#');
    expect(bob.virtualHost.findExchange('there')).toBeDefined();
    await there.unbindQueue(queue, 'there', 'more');
    await isGone(bob, 'there');
    await here.deleteExchange('here');
    // Both have left: nobody holds the old definition any more.
    await join(await alice.channel(), 'again', point('bids', 'headers'));
  });

  it('that is internal takes messages from other exchanges and other nodes, and refuses publishing', async () => {
    const { bob, here, there, queue } = await aliceAndBob({ internal: true });
    await there.assertExchange('inside', 'fanout');
    await there.bindExchange('there', 'inside', '');
    const far = await boundQueue(here, 'here');
    await publish(here, 'here', 'from afar');
    await publish(there, 'inside', 'from inside');
    expect(await bodies(there, queue)).toEqual(['from afar', 'from inside']);
    expect(await bodies(here, far)).toEqual(['from afar', 'from inside']);
    expect(await refusalOf(bob, (channel) => publish(channel, 'there', 'x'))).toMatchObject({
      code: 403,
      text: expect.stringContaining("internal exchange 'there'"),
    });
  });

  it('whose point was deleted elsewhere is gone as exchanges go', async () => {
    const { session, node, channel } = await observer();
    const queue = await boundQueue(channel, 'b');
    await session.delete();
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    expect(await refusalOf(node, (other) => publish(other, 'b', 'x'))).toMatchObject({ code: 404 });
    await channel.checkQueue(queue);
    expect(node.spaceLog).toEqual(['info alias is gone with its point']);
  });

  it('whose space was deleted elsewhere is gone, and cannot be declared again', async () => {
    const { handle, node } = await observer();
    await handle.delete();
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    expect(await refusalOf(node, (channel) => join(channel, 'b', point('bids')))).toMatchObject({
      code: 404,
      text: "NOT_FOUND - no exchange space 'market'",
    });
  });
});

describe('deleting a space', () => {
  it('by its owner deletes the points with it: the aliases on all nodes are gone', async () => {
    const { alice, bob, here } = await aliceAndBob();
    await join(here, 'asks', point('asks'));
    await here.deleteExchange('market');
    for (const name of ['market', 'here', 'asks'])
      expect(alice.virtualHost.findExchange(name)).toBeUndefined();
    expect(bob.virtualHost.findExchange('there')).toBeUndefined();
    expect(await refusalOf(bob, (channel) => join(channel, 'there', point('bids')))).toMatchObject({
      code: 404,
    });
  });

  it('can be followed by declaring it again, empty', async () => {
    const { here, bob } = await aliceAndBob();
    await here.deleteExchange('market');
    await here.assertExchange('market', 'x-exchangespace', { arguments: { implementation: 'memory' } });
    await join(await bob.channel(), 'there', point('bids', 'headers'));
  });

  it('is refused where it is used and if-unused was asked for', async () => {
    const { alice, bob, here } = await aliceAndBob();
    await boundQueue(here, 'market', 'k');
    const refusal = await refusalOf(alice, (channel) => channel.deleteExchange('market', { ifUnused: true }));
    expect(refusal.code).toBe(406);
    await join(await bob.channel(), 'still there', point('asks'));
  });

  it.each([
    ['delete', 'deleted by a client', (channel: ConfirmChannel) => channel.deleteExchange('market')],
    [
      'close',
      'deleted with its last binding, as it was declared auto-delete',
      async (channel: ConfirmChannel) => {
        const queue = await boundQueue(channel, 'market', 'k');
        await channel.deleteQueue(queue);
      },
    ],
  ])('asks the implementation to %s its handle when it is %s', async (call, _, end) => {
    const manual = new ManualSpaces();
    const node = await startSpaceNode(manual);
    const channel = await node.channel();
    const declared = channel.assertExchange('market', 'x-exchangespace', {
      autoDelete: true,
      arguments: { implementation: 'manual' },
    });
    const handle = new ManualHandle();
    await eventually(() => manual.declares.length === 1);
    manual.declares[0]?.answer.resolve(handle);
    await declared;
    await end(channel);
    expect(handle.calls).toEqual([call]);
    await isGone(node, 'market');
  });
});
