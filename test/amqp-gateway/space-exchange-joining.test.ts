import { describe, expect, it } from 'vitest';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { methodFrame } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';
import { ManualHandle, ManualSession, manualPoint, startManual, watch } from './manual-spaces.js';
import { bodies, boundQueue, join, publish, refusalOf, roundTrip } from './space-exchange-fixture.js';

const declareAlias = methodFrame(1, 'exchange.declare', {
  exchange: 'b',
  type: 'x-exchange',
  arguments: manualPoint,
});

describe('declare-ok of an alias', () => {
  it('comes when the implementation has joined, and holds up its own channel only', async () => {
    const { spaces, node, channel } = await startManual();
    const declared = join(channel, 'b', manualPoint);
    const queued = channel.assertQueue('q');
    await eventually(() => spaces.joins.length === 1);
    const [state, behind] = [watch(declared), watch(queued)];
    await roundTrip(node);
    expect([state.settled, behind.settled]).toEqual([false, false]);
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await declared;
    await queued;
    expect(node.virtualHost.findExchange('b')?.type).toBe('x-exchange');
  });

  it('comes after the implementation was given the request as it was made', async () => {
    const { spaces, channel } = await startManual();
    const exchangespace = { implementation: 'manual', space: 'market', seeds: ['a:1'] };
    const declared = join(channel, 'b', { ...manualPoint, exchangespace, arguments: { x: 1 } });
    await eventually(() => spaces.joins.length === 1);
    expect(spaces.joins[0]?.request).toEqual({
      space: 'market',
      point: { name: 'bids', type: 'topic', arguments: { x: 1 } },
      settings: { seeds: ['a:1'] },
    });
    expect(spaces.joins[0]?.signal?.aborted).toBe(false);
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await declared;
  });
});

describe('a second declare of the same alias while the first is under way', () => {
  async function twoDeclares(second: object = manualPoint) {
    const setup = await startManual();
    const { spaces, node, channel } = setup;
    const first = join(channel, 'b', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    const waiting = refusalOf(node, (other) => join(other, 'b', second)).then(
      (refusal) => refusal.text,
      (error: Error) => error.message,
    );
    await roundTrip(node);
    expect(spaces.joins.length).toBe(1);
    return { ...setup, first, waiting };
  }

  it('succeeds with it, without another join', async () => {
    const { spaces, first, waiting } = await twoDeclares();
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await first;
    expect(await waiting).toBe('it was accepted');
    expect(spaces.joins.length).toBe(1);
  });

  it('is refused when it has other arguments', async () => {
    const { spaces, first, waiting } = await twoDeclares({ ...manualPoint, exchangename: 'asks' });
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await first;
    expect(await waiting).toMatch("'exchangename': received 'asks' but current is 'bids'");
  });

  it('joins itself when the first has failed, one by one', async () => {
    const { spaces, node, first, waiting } = await twoDeclares();
    const third = join(await node.channel(), 'b', manualPoint);
    await roundTrip(node);
    spaces.joins[0]?.answer.reject(new SpaceError('not-found', 'nobody is there'));
    await expect(first).rejects.toThrow('nobody is there');
    await eventually(() => spaces.joins.length === 2);
    await roundTrip(node);
    expect(spaces.joins.length).toBe(2);
    spaces.joins[1]?.answer.resolve(new ManualSession());
    expect(await waiting).toBe('it was accepted');
    await third;
    expect(spaces.joins.length).toBe(2);
  });

  it('is the same where the names differ in line breaks only', async () => {
    const { spaces, node, channel } = await startManual();
    const first = join(channel, 'b\n', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    const second = join(await node.channel(), '\rb', manualPoint);
    await roundTrip(node);
    expect(spaces.joins.length).toBe(1);
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await first;
    await second;
  });

  it('does not hold up aliases of other names', async () => {
    const { spaces, node, channel } = await startManual();
    const slow = join(channel, 'slow', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    const quick = join(await node.channel(), 'quick', manualPoint);
    await eventually(() => spaces.joins.length === 2);
    spaces.joins[1]?.answer.resolve(new ManualSession());
    await quick;
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await slow;
  });
});

describe('a client that leaves during its declare', () => {
  it('leaves nothing behind, whenever the implementation answers', async () => {
    const { spaces, node } = await startManual();
    const client = await node.rawChannel();
    client.send(declareAlias);
    await eventually(() => spaces.joins.length === 1);
    client.destroy();
    await eventually(() => spaces.joins[0]?.signal?.aborted);
    const session = new ManualSession();
    spaces.joins[0]?.answer.resolve(session);
    await eventually(() => expect(session.calls).toEqual(['leave']));
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
  });

  it('makes the one that waits behind it join for itself', async () => {
    const { spaces, node } = await startManual();
    const client = await node.rawChannel();
    client.send(declareAlias);
    await eventually(() => spaces.joins.length === 1);
    const waiting = join(await node.channel(), 'b', manualPoint);
    await roundTrip(node);
    client.destroy();
    await eventually(() => spaces.joins[0]?.signal?.aborted);
    spaces.joins[0]?.answer.reject(new SpaceError('not-found', 'gave up'));
    await eventually(() => spaces.joins.length === 2);
    spaces.joins[1]?.answer.resolve(new ManualSession());
    await waiting;
    expect(node.virtualHost.findExchange('b')).toBeDefined();
  });

  it('while it waits for another one has nobody join for it', async () => {
    const { spaces, node, channel } = await startManual();
    const first = join(channel, 'b', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    const client = await node.rawChannel();
    client.send(declareAlias);
    // Its answer says that the declare before it has been taken up.
    client.sendMethod(2, 'channel.open');
    await client.expect('channel.open-ok');
    client.destroy();
    await eventually(() => node.gateway.status().connections === 1);
    spaces.joins[0]?.answer.reject(new SpaceError('not-found', 'nobody is there'));
    await expect(first).rejects.toThrow('nobody is there');
    await roundTrip(node);
    expect(spaces.joins.length).toBe(1);
  });

  it('lets go of the handle of a space', async () => {
    const { spaces, node } = await startManual();
    const client = await node.rawChannel();
    const args = { implementation: 'manual' };
    client.sendMethod(1, 'exchange.declare', { exchange: 's', type: 'x-exchangespace', arguments: args });
    await eventually(() => spaces.declares.length === 1);
    client.destroy();
    await eventually(() => spaces.declares[0]?.signal?.aborted);
    const handle = new ManualHandle();
    spaces.declares[0]?.answer.resolve(handle);
    await eventually(() => expect(handle.calls).toEqual(['close']));
    expect(node.virtualHost.findExchange('s')).toBeUndefined();
  });
});

describe('while an alias is being declared', () => {
  it('an ordinary exchange can take the name; the declare is refused and leaves the point', async () => {
    const { spaces, node } = await startManual();
    const refusal = refusalOf(node, (channel) => join(channel, 'b', manualPoint));
    await eventually(() => spaces.joins.length === 1);
    const other = await node.channel();
    await other.assertExchange('b', 'topic');
    const queue = await boundQueue(other, 'b');
    const session = new ManualSession();
    spaces.joins[0]?.answer.resolve(session);
    expect(await refusal).toMatchObject({
      code: 406,
      text: expect.stringContaining("received 'x-exchange' but current is 'topic'"),
    });
    expect(session.calls).toEqual(['leave']);
    await publish(other, 'b', 'x');
    expect(await bodies(other, queue)).toEqual(['x']);
  });

  it('deleting its name finds nothing to delete, and the alias comes into being', async () => {
    const { spaces, node, channel } = await startManual();
    const declared = join(channel, 'b', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    await (await node.channel()).deleteExchange('b');
    const session = new ManualSession();
    spaces.joins[0]?.answer.resolve(session);
    await declared;
    await publish(channel, 'b', 'x');
    expect(session.calls).toEqual(['publish x']);
  });

  it('its point can be deleted; the declare is refused with the reason', async () => {
    const { spaces, node } = await startManual();
    const refusal = refusalOf(node, (channel) => join(channel, 'b', manualPoint));
    await eventually(() => spaces.joins.length === 1);
    const session = new ManualSession();
    spaces.joins[0]?.receiver.deleted("space 'market' was deleted by its owner");
    spaces.joins[0]?.answer.resolve(session);
    expect(await refusal).toEqual({
      scope: 'channel',
      code: 404,
      text: "NOT_FOUND - space 'market' was deleted by its owner",
    });
    expect(session.calls).toEqual(['leave']);
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
  });

  it('messages for it go nowhere, as nothing can be bound', async () => {
    const { spaces, node, channel } = await startManual();
    const declared = join(channel, 'b', manualPoint);
    await eventually(() => spaces.joins.length === 1);
    spaces.joins[0]?.receiver.receive(outgoing('k', 'early'));
    spaces.joins[0]?.answer.resolve(new ManualSession());
    await declared;
    expect(node.spaceLog).toEqual([]);
  });

  it('the gateway can be closed', async () => {
    const { spaces, node, channel } = await startManual();
    const declared = join(channel, 'b', manualPoint);
    const state = watch(declared);
    await eventually(() => spaces.joins.length === 1);
    await node.gateway.close();
    expect(spaces.joins[0]?.signal?.aborted).toBe(true);
    await eventually(() => state.settled);
    const session = new ManualSession();
    spaces.joins[0]?.answer.resolve(session);
    await eventually(() => expect(session.calls).toEqual(['leave']));
  });
});
