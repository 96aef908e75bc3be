import type { PeerId } from '@libp2p/interface';
import { isPeerId } from '@libp2p/interface';
import type { KadDHTComponents } from '@libp2p/kad-dht';
import { FRESH_CONNECTION_MS } from './limits.js';

/**
 * libp2p's components for kad-dht, which pings a peer before it takes it into its routing table: both sides of each new
 * link did. A peer whose connection is new has shown in the handshake that it answers.
 */
export function withFewerPings(components: KadDHTComponents): KadDHTComponents {
  const { connectionManager, ping } = components;
  const isFresh = (peer: PeerId) =>
    connectionManager
      .getConnections(peer)
      .some(({ status, timeline }) => status === 'open' && Date.now() - timeline.open < FRESH_CONNECTION_MS);
  const fewer: KadDHTComponents['ping'] = {
    ping: async (peer, options) => (isPeerId(peer) && isFresh(peer) ? 0 : ping.ping(peer, options)),
  };
  return Object.create(components, { ping: { value: fewer } });
}
