import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import {
  DEAD_AFTER_MS,
  DIAL_TIMEOUT_MS,
  LOST_PEER_RETENTION_MS,
  UNSHARED_LIMIT_MS,
} from '../../src/dht-space/limits.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import {
  clock,
  numbers,
  Peer,
  participantOf,
  pass,
  SPACE,
  settle,
  startLinked,
  startPair,
} from './fake-peer.js';

describe('a link', () => {
  it(`that breaks all the time delivers everything once and in order, both ways (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const [a, b] = await startLinked(random);
    const count = 4000;
    let breaks = 0;
    for (let i = 0; i < count; ) {
      for (let burst = random.int(60); burst > 0 && i < count; burst -= 1, i += 1) {
        a.publish(b, `${i}`);
        b.publish(a, `${i}`);
      }
      for (let turns = random.int(6); turns > 0; turns -= 1) await turn();
      if (random.int(3) !== 0) continue;
      breaks += 1;
      const session = random.pick([a.linkTo(b), b.linkTo(a)]).session;
      if (random.int(2) === 0) a.node.breakConnections();
      else session?.abort(new Error('broken by the test'));
    }
    await eventually(() => a.received.length >= count && b.received.length >= count);
    await settle();
    expect(a.received).toEqual(numbers(count));
    expect(b.received).toEqual(numbers(count));
    expect(breaks).toBeGreaterThan(20);
    await eventually(() => a.memory.bytes + b.memory.bytes === 0);
  });

  it('that comes back in time has lost nothing, and nobody was told that it was gone', async () => {
    const [a, b] = await startLinked();
    a.node.reachable = false;
    a.node.breakConnections();
    await eventually(() => a.linkTo(b).kind === 'down' && b.linkTo(a).kind === 'down');
    for (const number of numbers(100)) a.publish(b, number);
    pass(DEAD_AFTER_MS - 1000);
    a.node.reachable = true;
    await eventually(() => expect(b.received).toEqual(numbers(100)));
    expect([a.dead, b.dead]).toEqual([[], []]);
  });

  it('that does not come back in time loses what waited, says so, and works when it comes back at last', async () => {
    const [a, b] = await startLinked();
    participantOf(b.linkTo(a)).attach(b.linkTo(a).session as never, 'topic');
    a.node.reachable = false;
    a.node.breakConnections();
    await eventually(() => a.linkTo(b).kind === 'down' && b.linkTo(a).kind === 'down');
    for (const number of numbers(100)) a.publish(b, number);
    pass(DEAD_AFTER_MS);
    expect([a.dead, b.dead]).toEqual([[b.node.id], [a.node.id]]);
    expect(participantOf(b.linkTo(a)).type, 'its interest is forgotten').toBeUndefined();
    expect([a.memory.bytes, a.linkTo(b).outgoing.droppedMessages]).toEqual([0, 100]);
    expect(a.log.about('participant is gone')[0]?.fields).toMatchObject({ droppedMessages: 100 });
    a.node.reachable = true;
    a.linkTo(b).wake();
    await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
    a.publish(b, 'again');
    b.publish(a, 'you too');
    await eventually(() => expect([a.received, b.received]).toEqual([['you too'], ['again']]));
  });

  it('is tried anew as soon as the peer has other addresses, also when that is heard of during an attempt', async () => {
    const [a, b] = await startPair();
    // No time passes, so nothing is tried again because it is due.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    b.node.reachable = false;
    a.share(b);
    await settle();
    expect(a.node.dials).toBe(1);
    a.linkTo(b).moved();
    await settle();
    expect(a.node.dials).toBe(2);
    b.node.dialFailed = () => {
      b.node.dialFailed = () => {};
      a.linkTo(b).moved();
      b.node.reachable = true;
    };
    a.linkTo(b).moved();
    await settle();
    expect(a.node.dials).toBe(4);
    expect(a.isLinkedTo(b)).toBe(true);
  });

  it('is given up when it has been lost for very long', async () => {
    const [a, b] = await startLinked();
    b.node.reachable = false;
    b.node.breakConnections();
    await eventually(() => a.linkTo(b).kind === 'down');
    clock.nowMs += LOST_PEER_RETENTION_MS;
    pass(2000);
    expect([...a.links]).toEqual([]);
    expect(a.memory.bytes).toBe(0);
  });

  it('begins anew when the other side has started again, with nothing of what was before', async () => {
    const [a, b, overlay] = await startLinked();
    for (const number of numbers(5)) a.publish(b, number);
    await eventually(() => expect(b.received).toHaveLength(5));
    b.node.reachable = false;
    b.node.breakConnections();
    await eventually(() => a.linkTo(b).kind === 'down');
    a.publish(b, 'for the one that was');
    const again = await Peer.start(overlay, b.node.id, new Random(seed));
    again.share(a);
    await eventually(() => a.isLinkedTo(again) && again.isLinkedTo(a));
    a.publish(again, 'for the one that is');
    again.publish(a, 'first of its second life');
    await eventually(() => expect(again.received).toEqual(['for the one that is']));
    await eventually(() => expect(a.received).toEqual(['first of its second life']));
  });

  it(`works, both ways, when one side has given it up and the other has not noticed (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const [a, b] = await startLinked(random);
    const sent = { fromA: 0, fromB: 0 };
    const publish = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        a.publish(b, `${sent.fromA++}`);
        b.publish(a, `${sent.fromB++}`);
      }
    };
    for (let round = 0; round < 30; round += 1) {
      publish(50);
      // All is acknowledged: it is the names of points, and how far messages had come, that may be taken for others.
      await eventually(() => expect(a.memory.bytes + b.memory.bytes).toBe(0));
      a.links.unshare(b.node.id, SPACE);
      b.node.reachable = false;
      a.node.breakConnections();
      await eventually(() => b.linkTo(a).kind === 'down');
      pass(DIAL_TIMEOUT_MS + 2000);
      expect(a.links.get(b.node.id)).toBeUndefined();
      b.node.reachable = true;
      a.share(b);
      b.linkTo(a).wake();
      // Both: what is said to somebody who has forgotten all is lost, until it is known that it has.
      await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
      publish(random.int(100));
      // Soon broken again, perhaps before any message has come.
      for (let turns = random.int(10); turns > 0; turns -= 1) await turn();
      a.node.breakConnections();
      publish(50);
      await eventually(() =>
        expect([a.received, b.received]).toEqual([numbers(sent.fromB), numbers(sent.fromA)]),
      );
    }
  });

  it('that is silent is broken, so that the next dial makes a new connection', async () => {
    const [a, b, overlay] = await startLinked();
    const [connection] = overlay.connections;
    // The other side takes everything and says nothing.
    const { control } = b.linkTo(a).session ?? expect.fail();
    control.send = () => {};
    for (let i = 0; i < DEAD_AFTER_MS / 1000; i += 1) {
      pass(1000);
      await settle();
    }
    await eventually(() => expect(overlay.connections.has(connection as never)).toBe(false));
    expect(a.log.about('link lost')[0]?.fields).toMatchObject({ cause: 'nothing heard for 15000 ms' });
    await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
  });

  it('stays up without traffic: both sides ping', async () => {
    const [a, b] = await startLinked();
    for (let i = 0; i < 20; i += 1) {
      pass(4000);
      await settle();
    }
    expect([a, b].map(({ log }) => log.about('link lost'))).toEqual([[], []]);
  });

  it('ends when the other side pings and acknowledges nothing', async () => {
    const [a, b] = await startLinked();
    const session = b.linkTo(a).session ?? expect.fail();
    session.control.onMessage = ({ ping }) => {
      session.heard(clock.nowMs);
      if (ping !== undefined) session.control.send({ pong: ping });
    };
    a.linkTo(b).session?.sendChange((number) => ({ detach: { number, id: 1 } }));
    for (let i = 0; i < 6; i += 1) {
      pass(3000);
      await settle();
    }
    expect(a.log.about('link lost')[0]?.fields.cause).toMatch(/a change was not acknowledged for 15000 ms/);
  });

  it('ends with a peer that shares nothing, and is forgotten', async () => {
    const [a, b] = await startPair();
    a.share(b);
    await eventually(() => b.isLinkedTo(a));
    a.links.unshare(b.node.id, SPACE);
    pass(UNSHARED_LIMIT_MS + 1000);
    await settle();
    expect([a.isLinkedTo(b), b.isLinkedTo(a)]).toEqual([false, false]);
    pass(DIAL_TIMEOUT_MS + 2000);
    expect([[...a.links], [...b.links]]).toEqual([[], []]);
  });
});

describe('memory', () => {
  it('that is high stops credit, and all goes on when it is low again', async () => {
    const [a, b] = await startLinked();
    b.memory.high = true;
    const text = 'x'.repeat(10_000);
    for (let i = 0; i < 300; i += 1) a.publish(b, text);
    await eventually(() => expect(b.received.length).toBeGreaterThan(90));
    await settle();
    // One window of credit, which was granted before.
    expect(b.received.length).toBeLessThan(120);
    b.memory.high = false;
    await eventually(() => expect(b.received).toHaveLength(300));
  });

  it('that is high during the greeting gives no credit, and credit comes when it is low', async () => {
    const [a, b] = await startPair();
    b.memory.high = true;
    a.share(b);
    b.share(a);
    await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
    // Low before the message stream has come, or after.
    a.publish(b, 'waits');
    if (seed % 2 === 0) await settle();
    b.memory.high = false;
    await eventually(() => expect(b.received).toEqual(['waits']));
  });
});
