import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import { SpaceError } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import type { Peer } from './testnet.js';
import { join, startChain, startPeer } from './testnet.js';

function seeds(...entries: readonly string[]) {
  return parseSeeds(entries, 'seeds');
}

/** An address where nobody listens: that of a peer that has stopped. */
async function deadAddress(): Promise<string> {
  const peer = await startPeer();
  await peer.stop();
  return peer.address;
}

function connected(a: Peer, b: Peer): boolean {
  return a.node.libp2p.getConnections(b.node.peerId).length > 0;
}

describe('joining through seeds', () => {
  it('names those reached, and gets the node into the routing table', async () => {
    const [a, b] = [await startPeer(), await startPeer()];
    const joiner = await startPeer();
    const reached = await joiner.seeds.join(seeds(a.address, b.node.addresses()[0] ?? ''));
    expect([...reached].sort()).toEqual([a.node.id, b.node.id].sort());
    expect(joiner.node.routing.size).toBe(2);
  });

  it('works when one of the seeds is alive', async () => {
    const [alive, dead] = [await startPeer(), await deadAddress()];
    const joiner = await startPeer();
    expect(await joiner.seeds.join(seeds(dead, alive.address))).toEqual([alive.node.id]);
  });

  it('fails when none is alive, and says of each seed why', async () => {
    const [first, second] = [await deadAddress(), await deadAddress()];
    const joiner = await startPeer();
    const failure = await joiner.seeds.join(seeds(first, second)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SpaceError);
    expect(failure).toMatchObject({ code: 'not-found' });
    const text = String(failure);
    for (const address of [first, second])
      expect(text).toMatch(new RegExp(`${address} \\([^)]*ECONNREFUSED`));
  });

  it('fails when somebody else than the peer named answers', async () => {
    const [other, wanted] = [await startPeer(), await startPeer()];
    const joiner = await startPeer();
    const seed = `${other.address}/p2p/${wanted.node.id}`;
    await expect(joiner.seeds.join(seeds(seed))).rejects.toMatchObject({ code: 'not-found' });
  });

  it('skips a seed that is the node itself, however it is written', async () => {
    const alone = await startPeer();
    const byName = alone.address.replace('/ip4/127.0.0.1/', '/dns/localhost/');
    for (const self of [alone.address, alone.node.addresses()[0] ?? '', byName]) {
      expect(await alone.seeds.join(seeds(self)), self).toEqual([]);
    }
  });

  it('does not fail without living seeds when the node knows others', async () => {
    const [peer] = (await startChain(2)) as [Peer, Peer];
    expect(await peer.seeds.join(seeds(await deadAddress()))).toEqual([]);
  });

  it('ends with the caller’s patience when a seed says nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    teardown(() => server.close());
    await once(server, 'listening');
    const joiner = await startPeer();
    const silent = seeds(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(joiner.seeds.join(silent, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('no answer yet'),
    });
  });
});

describe('members known from before', () => {
  const memberOf = ({ node }: Peer) => ({ peer: node.id, addresses: node.addresses() });

  it('stand in for seeds that are dead, and get into the routing table', async () => {
    const [joiner, member, gone] = [await startPeer(), await startPeer(), await startPeer()];
    const known = [memberOf(gone), memberOf(member)];
    await gone.stop();
    const reached = await joiner.seeds.join(seeds(await deadAddress()), { known });
    expect(reached).toEqual([member.node.id]);
    expect(joiner.node.routing.size).toBe(1);
  });

  it('do not count when somebody else has their address', async () => {
    const [joiner, stranger, other] = [await startPeer(), await startPeer(), await startPeer()];
    const addresses = stranger.node.addresses().map((address) => address.replace(/\/p2p\/.*/, ''));
    for (const told of [addresses, addresses.map((address) => `${address}/p2p/${other.node.id}`)]) {
      const known = [{ peer: other.node.id, addresses: told }];
      await joiner.seeds.join([], { known, mayFound: true }).then((reached) => expect(reached).toEqual([]));
    }
  });

  it('with addresses that make no sense are no reason to fail', async () => {
    const [joiner, seed] = [await startPeer(), await startPeer()];
    const known = [
      { peer: seed.node.id, addresses: ['nonsense'] },
      { peer: 'nobody', addresses: [] },
    ];
    expect(await joiner.seeds.join(seeds(seed.address), { known })).toEqual([seed.node.id]);
  });

  it('that are all gone fail a join, but not whoever may found the overlay', async () => {
    const [joiner, gone] = [await startPeer(), await startPeer()];
    const known = [memberOf(gone)];
    await gone.stop();
    expect(await joiner.seeds.join([], { known, mayFound: true })).toEqual([]);
    await expect(joiner.seeds.join([], { known })).rejects.toMatchObject({
      code: 'not-found',
      message: 'nobody could be reached; members known from before and tried: 1',
    });
  });
});

describe('in the background', () => {
  it('a seed that was away is reached when it is there, until it is forgotten', async () => {
    const away = await deadAddress();
    const [peer] = (await startChain(2)) as [Peer, Peer];
    await peer.seeds.join(seeds(away));

    const seed = await startPeer(away);
    await eventually(() => connected(peer, seed));

    await seed.stop();
    const restarted = await startPeer(away);
    await eventually(() => connected(peer, restarted));

    peer.seeds.forget(seeds(away));
    await restarted.stop();
    await eventually(() => !connected(peer, restarted));
  });

  it('the last seed that is lost is reached again', async () => {
    const [seed, peer] = [await startPeer(), await startPeer()];
    await join(peer, seed);
    await seed.stop();
    const restarted = await startPeer(seed.address);
    await eventually(() => connected(peer, restarted));
  });
});

describe('a node', () => {
  it('that cannot listen says where and why', async () => {
    const { address } = await startPeer();
    await expect(startPeer(address)).rejects.toThrow(
      new RegExp(`^the overlay cannot start: ${address}: listen EADDRINUSE: address already in use \\S+$`),
    );
    await expect(startPeer('/ip4/127.0.0.1/udp/1')).rejects.toThrow(
      'the overlay cannot start: /ip4/127.0.0.1/udp/1: No transport was configured to listen on this address',
    );
  });
});

describe('a routing table', () => {
  it('loses a peer that has died', async () => {
    const [first, second, third] = (await startChain(3)) as [Peer, Peer, Peer];
    await second.stop();
    await eventually(() => first.node.routing.size === 1 && third.node.routing.size === 1);
  });
});
