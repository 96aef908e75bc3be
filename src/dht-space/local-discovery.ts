import type { PeerDiscovery, PeerInfo } from '@libp2p/interface';
import type { MulticastDNSComponents } from '@libp2p/mdns';
import { mdns } from '@libp2p/mdns';
import { LOCAL_DISCOVERY_INTERVAL_MS } from './limits.js';

/** Not libp2p's own: nodes of other networks on the same LAN are of no use here. */
const SERVICE_TAG = '_xspace._udp.local';

/** Finds nodes on the same network by multicast DNS. Every node that answers is told, again and again. */
export function localDiscovery(
  found: (peer: PeerInfo) => void,
): (components: MulticastDNSComponents) => PeerDiscovery {
  const create = mdns({ serviceTag: SERVICE_TAG, interval: LOCAL_DISCOVERY_INTERVAL_MS });
  return (components) => {
    const discovery = create(components);
    // libp2p's own event comes for every peer that it hears of, whoever told.
    discovery.addEventListener('peer', ({ detail }) => found(detail));
    return discovery;
  };
}
