import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { DEAD_AFTER_MS } from '../../src/dht-space/limits.js';
import { pattern } from '../overlay/messages.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { Clock, linked, SPACE, SpaceNode, startMesh } from './space-node.js';

const numbers = (count: number, prefix = ''): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** What came from one node, in the order it came. */
function from(sender: SpaceNode, receiver: SpaceNode): string[] {
  const prefix = `${sender.id}:`;
  return receiver.received.filter((text) => text.startsWith(prefix)).map((text) => text.slice(prefix.length));
}

describe('when connections break', () => {
  it(`at random moments, everything from everybody arrives everywhere once and in order (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const nodes = await startMesh(3);
    const count = 5000;
    let breaks = 0;
    for (let i = 0; i < count; ) {
      for (let burst = random.int(80); burst > 0 && i < count; burst -= 1, i += 1) {
        for (const node of nodes) node.publish(`${node.id}:${i}`);
      }
      for (let turns = random.int(12); turns > 0; turns -= 1) await turn();
      if (random.int(4) !== 0) continue;
      breaks += 1;
      const node = random.pick(nodes);
      await node.breakConnections(random.int(2) === 0 ? undefined : random.pick(nodes));
    }
    for (const receiver of nodes) {
      await eventually(() => expect(receiver.received.length).toBeGreaterThanOrEqual(2 * count));
      for (const sender of nodes) {
        if (sender !== receiver) expect(from(sender, receiver)).toEqual(numbers(count));
      }
    }
    expect(breaks).toBeGreaterThan(10);
    await linked(nodes);
    await eventually(() => expect(nodes.map(({ memory }) => memory.bytes)).toEqual([0, 0, 0]));
    expect(nodes.map(({ log }) => log.about('participant is gone'))).toEqual([[], [], []]);
  });

  it('at both ends at once, one link comes back, and both ends agree which', async () => {
    const [a, b] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    for (let round = 0; round < 15; round += 1) {
      await Promise.all([a.breakConnections(), b.breakConnections()]);
      a.publish(`${a.id}:${round}`);
      b.publish(`${b.id}:${round}`);
      await eventually(() => from(a, b).length === round + 1 && from(b, a).length === round + 1);
      await linked([a, b]);
    }
    expect([from(a, b), from(b, a)]).toEqual([numbers(15), numbers(15)]);
  });

  it(`interest that is added meanwhile reaches the other side (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const [a, b] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    b.session.removeInterest(pattern('#'));
    await eventually(() => expect(a.statusOf(b)?.interest).toBe(0));
    const keys = numbers(20, 'k');
    for (const key of keys) {
      await random.pick([a, b]).breakConnections();
      for (let turns = random.int(30); turns > 0; turns -= 1) await turn();
      void b.session.addInterest(pattern(key));
    }
    await eventually(() => expect(a.statusOf(b)?.interest).toBe(keys.length));
    for (const key of keys.slice(5)) {
      await random.pick([a, b]).breakConnections();
      for (let turns = random.int(30); turns > 0; turns -= 1) await turn();
      b.session.removeInterest(pattern(key));
    }
    await eventually(() => expect(a.statusOf(b)?.interest).toBe(5));
    await eventually(() => expect(a.statusOf(b)?.linked).toBe(true));
    a.publish('nobody wants this');
    await b.session.addInterest(pattern('key'));
    a.publish('but this');
    await eventually(() => expect(b.received).toEqual(['but this']));
  });
});

describe('a participant that is away', () => {
  it('for less than the time after which it is dead has lost nothing, and kept its interest', async () => {
    const clock = new Clock();
    const [a, b] = (await startMesh(2, clock)) as [SpaceNode, SpaceNode];
    const isAway = cutOff(b);
    await a.breakConnections();
    await eventually(() => expect(a.statusOf(b)?.linked).toBe(false));
    for (const text of numbers(1000)) a.publish(text);
    clock.nowMs += DEAD_AFTER_MS - 2000;
    expect(a.statusOf(b)).toMatchObject({ interest: 1, droppedMessages: 0 });
    isAway.end();
    await eventually(() => expect(b.received).toEqual(numbers(1000)), 30_000);
    expect(a.log.about('member is dead')).toEqual([]);
  });

  it('for longer is dead: it is sent nothing, its messages are given up, and it is back when it is back', async () => {
    const clock = new Clock();
    const [a, b, c] = (await startMesh(3, clock)) as [SpaceNode, SpaceNode, SpaceNode];
    const isAway = cutOff(b);
    await b.breakConnections();
    await eventually(() => expect(a.statusOf(b)?.linked).toBe(false));
    for (const text of numbers(10)) a.publish(text);
    clock.nowMs += DEAD_AFTER_MS;
    await eventually(() => expect(a.log.about('member is dead')).toHaveLength(1));
    expect(a.statusOf(b)).toBeUndefined();
    expect(a.log.about('participant is gone').map(({ fields }) => fields.droppedMessages)).toEqual([10]);
    for (const text of numbers(10, 'later ')) a.publish(text);
    await eventually(() => expect(a.memory.bytes).toBe(0));
    isAway.end();
    await linked([a, b, c]);
    for (const text of numbers(10, 'again ')) a.publish(text);
    await eventually(() => expect(b.received).toEqual(numbers(10, 'again ')));
    await eventually(() =>
      expect(c.received).toEqual([...numbers(10), ...numbers(10, 'later '), ...numbers(10, 'again ')]),
    );
  });

  it('and starts again as another node is one participant more, until it was away too long as the first', async () => {
    const clock = new Clock();
    const [a, b] = (await startMesh(2, clock)) as [SpaceNode, SpaceNode];
    const listen = b.address.replace(/\/p2p\/.*/, '');
    // As SIGKILL would: no goodbye.
    await b.overlay.stop();
    await eventually(() => expect(a.statusOf(b)?.linked).toBe(false));
    const again = await SpaceNode.start({ clock, listen });
    await again.join(a);
    a.publish('for the one that is');
    again.publish('from its second life');
    await eventually(() =>
      expect([again.received, a.received]).toEqual([['for the one that is'], ['from its second life']]),
    );
    expect(a.session.status().participants).toHaveLength(2);
    clock.nowMs += DEAD_AFTER_MS;
    await eventually(() => expect(a.session.status().participants.map(({ id }) => id)).toEqual([again.id]));
  });
});

describe('a node that stops', () => {
  it('hands over all that was published before, and is gone at once for the others', async () => {
    const [a, b, c] = (await startMesh(3)) as [SpaceNode, SpaceNode, SpaceNode];
    for (const text of numbers(5000)) a.publish(text);
    await a.stop();
    for (const other of [b, c]) {
      expect(other.received).toEqual(numbers(5000));
      await eventually(() => expect(other.statusOf(a)).toBeUndefined(), 1000);
      expect(other.log.about('link lost')[0]?.fields.cause).toBe('the peer ended it: the node stops');
    }
    expect([a.memory.bytes, a.memory.listeners]).toEqual([0, 0]);
  });

  it('while somebody joins through it answers that join in one way or the other, and leaves nothing running', async () => {
    const [a, b] = (await startMesh(2)) as [SpaceNode, SpaceNode];
    const joining = await Promise.all(
      [0, 1, 2].map(async (wait) => {
        const node = await SpaceNode.start();
        return { node, wait };
      }),
    );
    const joins = joining.map(({ node }) =>
      node.spaces
        .join(
          {
            space: SPACE,
            point: { name: 'other', type: 'topic', arguments: {} },
            settings: { seeds: [a.address, b.address] },
          },
          { receive: () => {}, deleted: () => {} },
        )
        .then(
          () => 'joined',
          (error: Error) => error.name,
        ),
    );
    await turn();
    await Promise.all([a.stop(), joining[0]?.node.stop()]);
    for (const outcome of await Promise.all(joins)) expect(['joined', 'SpaceError']).toContain(outcome);
  });
});

/** Lets no dial through to or from a node, until the end. */
function cutOff(node: SpaceNode): { end(): void } {
  const { libp2p } = node.overlay;
  const { dial } = libp2p;
  const refuse = (event: { detail: { abort(cause: Error): void } }): void =>
    void setImmediate(() => event.detail.abort(new Error('cut off by the test')));
  libp2p.dial = () => Promise.reject(new Error('cut off by the test'));
  libp2p.addEventListener('connection:open', refuse as never);
  return {
    end: () => {
      libp2p.dial = dial;
      libp2p.removeEventListener('connection:open', refuse as never);
    },
  };
}
