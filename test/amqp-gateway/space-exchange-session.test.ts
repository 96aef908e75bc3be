import type { ConfirmChannel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import type { Content } from '../../src/overlay/index.js';
import { SpaceError } from '../../src/overlay/index.js';
import { outgoing } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Answer, ManualSession, manualPoint, startJoined, startManual, watch } from './manual-spaces.js';
import { bodies, boundQueue, drain, join, publish, refusalOf, roundTrip } from './space-exchange-fixture.js';

describe('bind-ok on an alias', () => {
  it('comes when the interest has settled, and local messages need not wait for it', async () => {
    const { node, channel, session } = await startJoined();
    const settled = new Answer();
    session.settled = settled.promise;
    await channel.assertQueue('q');
    const bound = channel.bindQueue('q', 'b', 'k');
    const state = watch(bound);
    await eventually(() => expect(session.calls).toEqual(['add k']));
    const other = await node.channel();
    await publish(other, 'b', 'k');
    expect(await bodies(other, 'q')).toEqual(['k']);
    expect(state.settled).toBe(false);
    settled.resolve();
    await bound;
  });

  it('comes for every bind of the same queue only then, and is told to the implementation once', async () => {
    const { node, channel, session } = await startJoined();
    const settled = new Answer();
    session.settled = settled.promise;
    await channel.assertQueue('q');
    const first = watch(channel.bindQueue('q', 'b', 'k'));
    await eventually(() => session.calls.length === 1);
    const other = await node.channel();
    const second = watch(other.bindQueue('q', 'b', 'k'));
    await roundTrip(node);
    expect([first.settled, second.settled]).toEqual([false, false]);
    settled.resolve();
    await eventually(() => first.settled && second.settled);
    expect(session.calls).toEqual(['add k']);
  });

  it('holds for exchanges that are bound to it as well', async () => {
    const { node, channel, session } = await startJoined();
    const settled = new Answer();
    session.settled = settled.promise;
    await channel.assertExchange('inside', 'fanout');
    const state = watch(channel.bindExchange('inside', 'b', 'k'));
    await eventually(() => expect(session.calls).toEqual(['add k']));
    await roundTrip(node);
    expect(state.settled).toBe(false);
    settled.resolve();
    await eventually(() => state.settled);
  });

  it('is still due when the alias was deleted meanwhile', async () => {
    const { node, channel, session } = await startJoined();
    const settled = new Answer();
    session.settled = settled.promise;
    await channel.assertQueue('q');
    const bound = channel.bindQueue('q', 'b', 'k');
    await eventually(() => session.calls.length === 1);
    await (await node.channel()).deleteExchange('b');
    expect(session.calls).toEqual(['add k', 'remove k', 'leave']);
    settled.resolve();
    await bound;
  });

  it('is a refusal where the binding is not well formed, and nothing is bound', async () => {
    const { node, channel, session } = await startJoined();
    await channel.assertQueue('q');
    const client = await node.rawChannel();
    const binding = { queue: 'q', exchange: 'b', arguments: { long: 'x'.repeat(100_000) } };
    const close = await client.call('queue.bind', binding, 'channel.close');
    expect(close).toMatchObject({ replyCode: 406, replyText: expect.stringContaining('larger than') });
    await channel.deleteQueue('q');
    expect(session.calls).toEqual([]);
  });
});

describe('a publication to an alias', () => {
  it('that the implementation asks to slow down for is in the local queues at once; only its client waits', async () => {
    const { node, channel, session } = await startJoined();
    const queue = await boundQueue(channel, 'b');
    const relief = new Answer();
    session.pause = () => relief.promise;
    const publisher = await node.channel();
    publisher.publish('b', 'k', Buffer.from('k'));
    await eventually(() => session.calls.includes('publish k'));
    const held = watch(publisher.assertQueue('', { exclusive: true }));
    await roundTrip(node);
    expect(await bodies(channel, queue)).toEqual(['k']);
    expect(held.settled).toBe(false);
    relief.resolve();
    await eventually(() => held.settled);
  });

  it('is refused, and reaches no queue, where the point lost against another definition', async () => {
    const { node, channel, session } = await startJoined();
    const queue = await boundQueue(channel, 'b');
    session.pause = () => {
      throw new SpaceError('conflict', "point 'bids' is of type direct for the others");
    };
    expect(await refusalOf(node, (other) => publish(other, 'b', 'k'))).toEqual({
      scope: 'channel',
      code: 406,
      text: "PRECONDITION_FAILED - point 'bids' is of type direct for the others",
    });
    expect(await bodies(channel, queue)).toEqual([]);
  });

  it('is refused, and reaches no queue, where it is larger than what the space carries', async () => {
    const { node, channel, session } = await startJoined();
    const queue = await boundQueue(channel, 'b');
    session.pause = () => {
      throw new SpaceError('too-large', 'the limit is 5');
    };
    expect(await refusalOf(node, (other) => publish(other, 'b', 'k'))).toEqual({
      scope: 'channel',
      code: 311,
      text: 'CONTENT_TOO_LARGE - the limit is 5',
    });
    expect(await bodies(channel, queue)).toEqual([]);
  });

  it('is told to the implementation once, however it reaches the alias', async () => {
    const { channel, session } = await startJoined();
    await channel.assertExchange('inside', 'topic');
    for (const key of ['#', 'a.*', '*.b']) await channel.bindExchange('b', 'inside', key);
    await publish(channel, 'inside', 'a.b');
    await publish(channel, 'b', 'direct');
    expect(session.calls).toEqual(['publish a.b', 'publish direct']);
  });
});

describe('a message of another node', () => {
  it('is routed to local queues only: the implementation hears nothing of it', async () => {
    const { channel, session, receiver } = await startJoined();
    const queue = await boundQueue(channel, 'b', 'k');
    receiver.receive(outgoing('k', 'hello'));
    receiver.receive(outgoing('other', 'not asked for'));
    const [message, ...more] = await drain(channel, queue);
    expect(message?.content.toString()).toBe('hello');
    expect(message?.fields).toMatchObject({ exchange: 'b', routingKey: 'k' });
    expect(more).toEqual([]);
    expect(session.calls).toEqual(['add k']);
  });

  it('is kept in octets of its own: the buffer that it came in was only lent', async () => {
    const { channel, receiver } = await startJoined();
    const queue = await boundQueue(channel, 'b');
    const lent = outgoing('k', 'hello');
    receiver.receive(lent);
    lent.bytes.fill(0);
    expect(await bodies(channel, queue)).toEqual(['hello']);
  });

  it.each<[string, (content: Content) => Content]>([
    ['a header that is cut off', (content) => ({ ...content, headerEnd: content.headerEnd - 1 })],
    ['less of a body than announced', (content) => ({ ...content, bodyEnd: content.bodyEnd - 1 })],
    ['a routing key that AMQP has no room for', (content) => ({ ...content, routingKey: 'ü'.repeat(128) })],
  ])('with %s is dropped and logged, and those behind it arrive', async (_, spoil) => {
    const { node, channel, receiver } = await startJoined();
    const queue = await boundQueue(channel, 'b');
    receiver.receive(spoil(outgoing('k', 'spoilt')));
    receiver.receive(outgoing('k', 'fine'));
    expect(await bodies(channel, queue)).toEqual(['fine']);
    expect(node.spaceLog).toEqual(['warn message of another node is not AMQP; dropped']);
  });
});

describe('delete-ok of an alias', () => {
  it('comes when the implementation has left, and the exchange is gone before', async () => {
    const { node, channel, session } = await startJoined();
    const left = new Answer();
    session.left = left.promise;
    await boundQueue(channel, 'b', 'k');
    const deleted = channel.deleteExchange('b');
    const state = watch(deleted);
    await eventually(() => expect(session.calls).toEqual(['add k', 'remove k', 'leave']));
    await roundTrip(node);
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
    expect(state.settled).toBe(false);
    left.resolve();
    await deleted;
  });

  it('comes even if leaving failed, which the log says', async () => {
    const { node, channel, session } = await startJoined();
    const left = new Answer();
    session.left = left.promise;
    const deleted = channel.deleteExchange('b');
    await eventually(() => expect(session.calls).toEqual(['leave']));
    left.reject(new SpaceError('not-found', 'nobody to tell'));
    await deleted;
    expect(node.spaceLog).toEqual(['error could not leave cleanly']);
  });

  it('lets the name be declared again while leaving goes on', async () => {
    const { spaces, node, channel, session, receiver } = await startJoined();
    const left = new Answer();
    session.left = left.promise;
    const deleted = channel.deleteExchange('b');
    await eventually(() => expect(session.calls).toEqual(['leave']));
    const again = join(await node.channel(), 'b', manualPoint);
    await eventually(() => spaces.joins.length === 2);
    spaces.joins[1]?.answer.resolve(new ManualSession());
    await again;
    receiver.deleted('the point that the old alias was of is gone');
    left.resolve();
    await deleted;
    expect(node.virtualHost.findExchange('b')).toBeDefined();
  });

  it('of a space is a refusal where the implementation could not delete it', async () => {
    const { spaces, node, channel } = await startManual();
    const declared = declareSpace(channel);
    await eventually(() => spaces.declares.length === 1);
    spaces.declares[0]?.answer.resolve({
      close: async () => {},
      delete: () => Promise.reject(new SpaceError('refused', "this node does not own space 'market'")),
    });
    await declared;
    expect(await refusalOf(node, (other) => other.deleteExchange('market'))).toMatchObject({
      code: 403,
      text: "ACCESS_REFUSED - this node does not own space 'market'",
    });
  });
});

async function declareSpace(channel: ConfirmChannel): Promise<void> {
  await channel.assertExchange('market', 'x-exchangespace', { arguments: { implementation: 'manual' } });
}
