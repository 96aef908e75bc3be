import { setImmediate as turn } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DEAD_AFTER_MS, MAX_LINKS, RETRY_CAP_MS } from '../../src/dht-space/limits.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import { numbers, pass, SPACE, settle, startLinked, startPair } from './fake-peer.js';

describe('two nodes that dial each other at the same time', () => {
  it(`keep one session, and both the same one, whatever comes first (SEED=${seed})`, async () => {
    const random = new Random(seed);
    for (let round = 0; round < 60; round += 1) {
      const [a, b, overlay] = await startPair(random);
      for (const [one, other] of random.int(2) === 0
        ? ([
            [a, b],
            [b, a],
          ] as const)
        : ([
            [b, a],
            [a, b],
          ] as const)) {
        one.share(other);
        for (let turns = random.int(8); turns > 0; turns -= 1) await turn();
      }
      await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
      await settle();
      const [near, far] = [a.linkTo(b).session, b.linkTo(a).session];
      expect(near?.greeting.session, `round ${round}`).toBe(far?.hello.session);
      expect(far?.greeting.session).toBe(near?.hello.session);
      expect(near?.dialled).not.toBe(far?.dialled);
      expect(overlay.connections.size).toBeLessThanOrEqual(2);
      await Promise.all([a, b].map(({ links }) => links.close('the end', AbortSignal.timeout(500))));
    }
  });

  it(`lose no message of a session that is given up, and double none (SEED=${seed})`, async () => {
    const random = new Random(seed);
    let replaced = 0;
    for (let round = 0; round < 150; round += 1) {
      const [a, b] = await startPair(random);
      const sent = { fromA: 0, fromB: 0 };
      // Whenever one of them has a session, whichever it is, it sends some at once.
      a.opened = () => {
        for (let i = 0; i < 10; i += 1) a.publish(b, `${sent.fromA++}`);
      };
      b.opened = () => {
        for (let i = 0; i < 10; i += 1) b.publish(a, `${sent.fromB++}`);
      };
      a.share(b);
      for (let turns = random.int(4); turns > 0; turns -= 1) await turn();
      b.share(a);
      await eventually(() => a.received.length > 0 && b.received.length > 0);
      await settle();
      await eventually(() =>
        expect([a.received, b.received]).toEqual([numbers(sent.fromB), numbers(sent.fromA)]),
      );
      replaced += Math.min(sent.fromA, sent.fromB) > 10 ? 1 : 0;
      await Promise.all([a, b].map(({ links }) => links.close('the end', AbortSignal.timeout(500))));
    }
    // It has to happen, or this says nothing.
    expect(replaced).toBeGreaterThan(0);
  });
});

describe('a link that is closed', () => {
  it('hands over all that was accepted before, and says why', async () => {
    const [a, b] = await startLinked();
    for (const number of numbers(3000)) a.publish(b, number);
    await a.links.close('the node stops', AbortSignal.timeout(5000));
    expect(b.received).toEqual(numbers(3000));
    expect([...a.links]).toEqual([]);
    await eventually(() =>
      expect(b.log.about('link lost')[0]?.fields).toMatchObject({
        cause: 'the peer ended it: the node stops',
      }),
    );
    expect(a.linkTo === undefined || a.memory.bytes).toBe(0);
  });

  it('does not wait longer than it may for a peer that takes nothing', async () => {
    const [a, b] = await startLinked();
    b.memory.high = true;
    const link = b.linkTo(a);
    if (link.session !== undefined) link.session.control.onMessage = () => {};
    for (const number of numbers(20_000)) a.publish(b, number.padEnd(100));
    const started = performance.now();
    await a.links.close('the node stops', AbortSignal.timeout(200));
    expect(performance.now() - started).toBeLessThan(2000);
    expect([a.memory.bytes, a.log.about('participant is gone').length]).toEqual([0, 1]);
  });

  it('leaves nothing running: no listener, no timer, no further dial', async () => {
    // They run as ever until the test lets the longest wait for a dial go by at once.
    vi.useFakeTimers({ shouldAdvanceTime: true, toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const [a, b] = await startLinked();
    b.node.reachable = false;
    b.node.breakConnections();
    await eventually(() => a.linkTo(b).kind === 'down');
    await a.links.close('the node stops', AbortSignal.timeout(200));
    const { dials } = a.node;
    expect([a.memory.listeners, a.node.handlers.size, a.links.share(b.node.id, SPACE)]).toEqual([
      0,
      0,
      undefined,
    ]);
    b.node.reachable = true;
    await vi.advanceTimersByTimeAsync(RETRY_CAP_MS);
    expect(a.node.dials).toBe(dials);
  });
});

describe('links', () => {
  it('are so many, and those to the dead make room', async () => {
    const [a] = await startPair();
    const peers = await Promise.all(
      Array.from({ length: MAX_LINKS + 1 }, async () =>
        peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString(),
      ),
    );
    for (const peer of peers.slice(0, MAX_LINKS)) expect(a.links.share(peer, SPACE)).toBeDefined();
    const last = peers.at(-1) as string;
    expect(a.links.share(last, SPACE)).toBeUndefined();
    expect(a.log.about('refused')[0]?.fields).toMatchObject({ refused: 'link', peer: last });
    pass(DEAD_AFTER_MS);
    expect(a.links.share(last, SPACE)).toBeDefined();
    expect([...a.links]).toHaveLength(MAX_LINKS);
    await a.links.close('the end', AbortSignal.timeout(100));
  });
});
