import { beforeEach, describe, expect, it } from 'vitest';
import { UPGRADE_INTERVAL_MS } from '../../src/dht-space/limits.js';
import { eventually } from '../support/eventually.js';
import { Random, seed } from '../support/random.js';
import type { Peer } from './fake-peer.js';
import { numbers, pass, peerIds, settle, startPair } from './fake-peer.js';

const DIRECT = '/ip4/192.0.2.1/tcp/4672';
let addresses: readonly string[];
beforeEach(() => {
  addresses = [DIRECT, `/ip4/192.0.2.9/tcp/4672/p2p/${peerIds[2]}/p2p-circuit`];
});

describe('a peer that is reached through a relay too', () => {
  it('is linked through it where nobody answers at its other addresses', async () => {
    const [a, b] = await pairBehindNats();
    a.share(b);
    await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
    expect(a.linkTo(b).session?.relayed).toBe(true);
    a.publish(b, '0');
    b.publish(a, '0');
    await eventually(() => expect([a.received, b.received]).toEqual([['0'], ['0']]));
  });

  it('is linked directly where somebody does', async () => {
    const [a, b] = await pairBehindNats();
    b.node.behindNat = false;
    a.share(b);
    await eventually(() => a.isLinkedTo(b));
    expect(a.linkTo(b).session?.relayed).toBe(false);
  });

  it('is dialled no more where it has no other addresses', async () => {
    const [a, b] = await pairBehindNats();
    a.addresses = addresses.slice(1);
    a.share(b);
    await eventually(() => a.isLinkedTo(b));
    expect(a.node.dials).toBe(1);
    pass(UPGRADE_INTERVAL_MS / 10);
    await settle();
    expect(a.linkTo(b).session?.relayed).toBe(true);
    expect(a.node.dials).toBe(1);
  });
});

describe('a relayed link', () => {
  it(`becomes a direct one once that can be, and loses and doubles no message (SEED=${seed})`, async () => {
    const random = new Random(seed);
    for (let round = 0; round < 20; round += 1) {
      const [a, b] = await pairBehindNats(random);
      a.share(b);
      b.share(a);
      await eventually(() => a.isLinkedTo(b) && b.isLinkedTo(a));
      await settle();
      expect(a.linkTo(b).session?.relayed).toBe(true);
      const count = random.int(200);
      for (const number of numbers(count)) a.publish(b, number);

      (random.int(2) === 0 ? a : b).node.behindNat = false;
      pass(UPGRADE_INTERVAL_MS / 10);
      for (const number of numbers(count)) b.publish(a, number);
      await eventually(() => expect(a.linkTo(b).session?.relayed).toBe(false));
      await eventually(() => expect(b.linkTo(a).session?.relayed).toBe(false));
      await eventually(() => expect([a.received, b.received]).toEqual([numbers(count), numbers(count)]));
      expect(a.node.overlay.connections.size).toBe(1);
      await Promise.all([a, b].map(({ links }) => links.close('the end', AbortSignal.timeout(500))));
    }
  });
});

/** Both reach each other through a third node only. */
async function pairBehindNats(random?: Random): Promise<readonly [Peer, Peer]> {
  const [a, b] = await startPair(random);
  for (const peer of [a, b]) {
    peer.addresses = addresses;
    peer.node.behindNat = true;
  }
  return [a, b];
}
