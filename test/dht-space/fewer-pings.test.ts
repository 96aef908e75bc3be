import { generateKeyPair } from '@libp2p/crypto/keys';
import type { KadDHTComponents } from '@libp2p/kad-dht';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { expect, it, vi } from 'vitest';
import { withFewerPings } from '../../src/dht-space/fewer-pings.js';
import { FRESH_CONNECTION_MS } from '../../src/dht-space/limits.js';

const peer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));

/** How often the peer is pinged where kad-dht has it pinged once, with these connections to it. */
async function pingsWith(...connections: { status: string; ageMs: number }[]): Promise<number> {
  const ping = vi.fn(async () => 1);
  const getConnections = () =>
    connections.map(({ status, ageMs }) => ({ status, timeline: { open: Date.now() - ageMs } }));
  const components = { connectionManager: { getConnections }, ping: { ping }, peerId: peer };
  const fewer = withFewerPings(components as unknown as KadDHTComponents);
  expect(fewer.peerId).toBe(peer);
  await fewer.ping.ping(peer);
  return ping.mock.calls.length;
}

it('a peer that connected just now is not pinged', async () => {
  expect(await pingsWith({ status: 'open', ageMs: 0 })).toBe(0);
});

it('any other peer is pinged', async () => {
  expect(await pingsWith()).toBe(1);
  expect(await pingsWith({ status: 'open', ageMs: FRESH_CONNECTION_MS })).toBe(1);
  expect(await pingsWith({ status: 'closed', ageMs: 0 })).toBe(1);
});
