import { describe, expect, it } from 'vitest';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import type { ReachabilityOptions } from '../../src/dht-space/reachability.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { quietLogger } from './environment.js';
import { startPeer } from './testnet.js';

describe('a node', () => {
  it('tells others of its listeners, with its peer id', async () => {
    const node = await start({});
    expect(node.addresses()).toHaveLength(1);
    expect(node.addresses()[0]).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/[1-9]\\d*/p2p/${node.id}$`));
  });

  it('tells others of the addresses that are advertised, and of no others', async () => {
    const advertise = ['/dns4/node.example/tcp/4672', '/ip4/192.0.2.7/tcp/4672'];
    const node = await start({ advertise });
    expect(node.addresses()).toEqual(advertise.map((address) => `${address}/p2p/${node.id}`));

    const other = await startPeer();
    await node.libp2p.dial(other.node.libp2p.getMultiaddrs());
    await eventually(async () => {
      const { addresses } = await other.node.libp2p.peerStore.get(node.peerId);
      expect(addresses.map(({ multiaddr }) => multiaddr.toString()).sort()).toEqual([...advertise].sort());
    });
  });

  it('starts and stops where there is no router that forwards ports, and nobody on the same network', async () => {
    const node = await start({ upnp: true, mdns: true });
    const other = await startPeer();
    await other.node.libp2p.dial(node.libp2p.getMultiaddrs());
    await eventually(() => expect(node.knows()).toBe(1));
    await node.stop();
    expect(node.libp2p.status).toBe('stopped');
  });
});

async function start(reachability: ReachabilityOptions): Promise<OverlayNode> {
  const node = await startOverlayNode({
    listen: ['/ip4/127.0.0.1/tcp/0'],
    logger: quietLogger,
    reachability,
  });
  teardown(() => node.stop());
  return node;
}
