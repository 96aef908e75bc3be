import { describe, expect, it } from 'vitest';
import type { ExchangeSpec } from '../../src/broker/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { ManualHandle, ManualSession, manualPoint, startManual } from './manual-spaces.js';
import type { SpaceNode } from './space-exchange-fixture.js';
import { bodies, boundQueue, join, publish, roundTrip } from './space-exchange-fixture.js';

const alias = {
  type: 'x-exchange',
  durable: true,
  autoDelete: false,
  internal: false,
  arguments: manualPoint,
};
const space = { ...alias, type: 'x-exchangespace', arguments: { implementation: 'manual' } };

/** As the broker does it with what its store has. */
function restore({ spaceExchange, virtualHost }: SpaceNode, name: string, spec: ExchangeSpec): void {
  virtualHost.declareExchange(name, spec, spaceExchange.restoreDecoration(virtualHost, name, spec));
}

/** A node whose alias `b` was restored; the test says when it is joined. */
async function startRestored() {
  const setup = await startManual();
  const { spaces, node } = setup;
  restore(node, 'b', alias);
  const attempt = async (number: number) => {
    await eventually(() => expect(spaces.joins.length).toBe(number));
    return spaces.joins[number - 1] ?? expect.fail();
  };
  return { ...setup, attempt };
}

describe('a restored alias', () => {
  it('is there for local apps before the point is joined', async () => {
    const { channel } = await startRestored();
    const queue = await boundQueue(channel, 'b', 'k');
    await publish(channel, 'b', 'k', 'other');
    expect(await bodies(channel, queue)).toEqual(['k']);
    await join(channel, 'b', manualPoint, { durable: true });
  });

  it('tells what is wanted by then when it has joined, and what is published from then on', async () => {
    const { channel, attempt } = await startRestored();
    const queue = await boundQueue(channel, 'b', 'k');
    await boundQueue(channel, 'b', 'l');
    await channel.bindQueue(queue, 'b', 'm');
    await channel.unbindQueue(queue, 'b', 'm');
    await publish(channel, 'b', 'k');
    const session = new ManualSession();
    (await attempt(1)).answer.resolve(session);
    await eventually(() => expect(session.calls.sort()).toEqual(['add k', 'add l']));
    await publish(channel, 'b', 'k');
    await boundQueue(channel, 'b', 'n');
    await channel.unbindQueue(queue, 'b', 'k');
    expect(session.calls.slice(2)).toEqual(['publish k', 'add n', 'remove k']);
  });

  it('delivers what others publish once it has joined', async () => {
    const { channel, attempt } = await startRestored();
    const queue = await boundQueue(channel, 'b');
    const { answer, receiver } = await attempt(1);
    answer.resolve(new ManualSession());
    receiver.receive(outgoing('k', 'from afar'));
    await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(1));
    expect(await bodies(channel, queue)).toEqual(['from afar']);
  });

  it('tries again until it works, and logs an unchanged cause once', async () => {
    const { node, attempt } = await startRestored();
    for (const number of [1, 2]) (await attempt(number)).answer.reject(new SpaceError('not-found', 'nobody'));
    (await attempt(3)).answer.reject(new SpaceError('conflict', 'another type'));
    const session = new ManualSession();
    (await attempt(4)).answer.resolve(session);
    expect(node.spaceLog).toEqual(Array(2).fill('warn not there yet, is tried again'));
  });

  it('that is deleted before it has joined joins no more, and leaves what it joined too late', async () => {
    const { channel, attempt } = await startRestored();
    const { answer, signal } = await attempt(1);
    await channel.deleteExchange('b');
    expect(signal?.aborted).toBe(true);
    const session = new ManualSession();
    answer.resolve(session);
    await eventually(() => expect(session.calls).toEqual(['leave']));
  });

  it('that was joined leaves the point when it is deleted', async () => {
    const { channel, attempt } = await startRestored();
    const session = new ManualSession();
    (await attempt(1)).answer.resolve(session);
    await channel.deleteExchange('b');
    expect(session.calls).toEqual(['leave']);
  });

  it('goes with its point when that is deleted elsewhere', async () => {
    const { node, attempt } = await startRestored();
    const { answer, receiver } = await attempt(1);
    answer.resolve(new ManualSession());
    receiver.deleted('gone');
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
  });

  it('whose point was deleted while the node did not run is gone, and tries no more', async () => {
    const { node, spaces, attempt } = await startRestored();
    const { answer, receiver, request } = await attempt(1);
    expect(request.restored).toBe(true);
    receiver.deleted('gone');
    answer.reject(new SpaceError('not-found', 'gone'));
    await roundTrip(node);
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    expect([node.spaceLog, spaces.joins.length]).toEqual([['info alias is gone with its point'], 1]);
  });

  it('with arguments that were never accepted is refused', async () => {
    const { node } = await startManual();
    expect(() => restore(node, 'b', { ...alias, arguments: {} })).toThrow("argument 'exchangespace'");
  });

  it('of an implementation that the node does not have stays local, and says why', async () => {
    const { node, channel } = await startManual();
    const exchangespace = { implementation: 'gone', space: 'market' };
    restore(node, 'b', { ...alias, arguments: { ...manualPoint, exchangespace } });
    const queue = await boundQueue(channel, 'b');
    await publish(channel, 'b', 'k');
    expect(await bodies(channel, queue)).toEqual(['k']);
    await eventually(() => expect(node.spaceLog).toEqual(['warn not there yet, is tried again']));
  });
});

describe('a restored space', () => {
  it('is declared in the background, and deleted as any other', async () => {
    const { spaces, node, channel } = await startManual();
    restore(node, 'market', space);
    await channel.checkExchange('market');
    await eventually(() => expect(spaces.declares.length).toBe(1));
    const handle = new ManualHandle();
    spaces.declares[0]?.answer.resolve(handle);
    await roundTrip(node);
    await channel.deleteExchange('market');
    expect(handle.calls).toEqual(['delete']);
  });

  it('that is deleted before it is declared is a name that goes, and what was declared too late is left', async () => {
    const { spaces, node, channel } = await startManual();
    restore(node, 'market', space);
    await eventually(() => expect(spaces.declares.length).toBe(1));
    await channel.deleteExchange('market');
    expect(node.virtualHost.findExchange('market')).toBeUndefined();
    const handle = new ManualHandle();
    spaces.declares[0]?.answer.resolve(handle);
    await eventually(() => expect(handle.calls).toEqual(['close']));
  });
});
