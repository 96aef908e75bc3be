import { describe, expect, it } from 'vitest';
import { MAX_DIALS_BACK } from '../../src/dht-space/limits.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import type { ReachabilityOptions } from '../../src/dht-space/reachability.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { quietLogger } from './environment.js';
import { HostileNode } from './hostile-node.js';
import { startPeer } from './testnet.js';

const DIAL_BACK_PROTOCOL = '/libp2p/autonat/2/dial-request';
/** A request to be dialled at 127.0.0.1, which nobody does: it is answered by the end of the stream. */
const NOWHERE = Buffer.from('0c0a0a0a08047f000001060009', 'hex');

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

  it('dials so many back at once, and has others ask somebody else', async () => {
    const node = await start({});
    const askers = await Promise.all(Array.from({ length: MAX_DIALS_BACK }, () => HostileNode.start()));
    const connections = await Promise.all(
      askers.map((asker) => asker.dial({ address: node.addresses()[0] ?? '' })),
    );
    // Two for each: that is libp2p's own limit for one connection.
    const streams = await Promise.all(
      [...connections, ...connections].map((connection) => connection.newStream(DIAL_BACK_PROTOCOL)),
    );
    const open = () => streams.filter(({ status }) => status === 'open').length;
    await eventually(() => expect(open()).toBe(MAX_DIALS_BACK));
    for (const stream of streams) stream.abort(new Error('enough'));
    const [asker = expect.fail()] = askers;
    await eventually(async () =>
      expect(await asker.send({ address: node.addresses()[0] ?? '' }, DIAL_BACK_PROTOCOL, NOWHERE)).toBe(
        'closed',
      ),
    );
    expect(node.refusals.counts).toEqual({});
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
