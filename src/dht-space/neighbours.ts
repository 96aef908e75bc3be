import type { Peer } from '@libp2p/interface';
import type { Libp2p } from 'libp2p';
import type { Logger } from '../overlay/index.js';
import { DIAL_TIMEOUT_MS, MAX_FORMER_NEIGHBOURS } from './limits.js';
import type { LiveRoutingTable } from './live-routing-table.js';
import { timeLimit } from './time-limit.js';

/** What kad-dht marks the peers with that are nearest to this node. */
const NEIGHBOUR_TAG = 'keep-alive-kad-dht';

/**
 * The peers that were this node's neighbours in the DHT when it ran last. They are marked no more: libp2p would dial
 * them at every start from now on, whatever has become of them, for kad-dht takes its marks off in the same run only.
 */
export async function formerNeighbours({ peerStore }: Libp2p): Promise<readonly Peer[]> {
  const marked = await peerStore.all({ filters: [({ tags }) => tags.has(NEIGHBOUR_TAG)] });
  for (const { id } of marked) await peerStore.merge(id, { tags: { [NEIGHBOUR_TAG]: undefined } });
  return marked.slice(0, MAX_FORMER_NEIGHBOURS);
}

/** Dials them in the background: so the node is in the overlay again, if any of them is. */
export function returnTo(
  neighbours: readonly Peer[],
  { libp2p, routing }: { readonly libp2p: Libp2p; readonly routing: LiveRoutingTable },
  logger: Logger,
): void {
  for (const { id } of neighbours) {
    routing.lost(id);
    libp2p
      .dial(id, { signal: timeLimit(DIAL_TIMEOUT_MS) })
      .then(() => routing.admit(id))
      .catch((error: unknown) =>
        logger.debug({ peer: id.toString(), error }, 'a neighbour from before was not reached'),
      );
  }
}
