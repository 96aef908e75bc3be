import { expect, it } from 'vitest';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { OverlayStore } from '../../src/dht-space/overlay-store.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { newFolder } from './data-folder.js';
import { quietLogger } from './environment.js';
import { startPeer } from './testnet.js';

async function startKept(folder: string) {
  const store = await OverlayStore.open(folder, quietLogger);
  const node = await startOverlayNode({ listen: ['/ip4/127.0.0.1/tcp/0'], logger: quietLogger, store });
  const stop = async () => {
    await node.stop();
    await store.close();
  };
  teardown(stop);
  return { node, stop };
}

it('a node that is started again dials once who was next to it in the DHT, dead or alive, and nobody else', async () => {
  const folder = await newFolder();
  const [alive, dead, distant] = [await startPeer(), await startPeer(), await startPeer()];
  const before = await startKept(folder);
  for (const peer of [alive, dead, distant]) {
    await before.node.learn(peer.node.peerId, peer.node.addresses());
    if (peer === distant) continue;
    // As kad-dht does, every minute.
    await before.node.libp2p.peerStore.merge(peer.node.peerId, {
      tags: { 'keep-alive-kad-dht': { value: 1 } },
    });
  }
  await before.stop();
  await dead.stop();

  const again = await startKept(folder);
  await eventually(() => expect(again.node.routing.size).toBe(1));
  expect(again.node.libp2p.getPeers().map(String)).toEqual([alive.node.id]);
  const marked = await again.node.libp2p.peerStore.all({
    filters: [({ tags }) => tags.has('keep-alive-kad-dht')],
  });
  expect(marked).toEqual([]);
  const { addresses } = await again.node.libp2p.peerStore.get(distant.node.peerId);
  expect(addresses.map(({ multiaddr }) => multiaddr.toString())).toEqual(
    distant.node.addresses().map((address) => address.replace(/\/p2p\/.*/, '')),
  );
});
