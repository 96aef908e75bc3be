import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { WAY_DIAL_TIMEOUT_MS } from './limits.js';
import type { OverlayNode } from './node.js';
import { relayOf } from './relayed.js';
import { timeLimit } from './time-limit.js';

export interface Destination {
  readonly peer: string;
  /** Where it can be reached, as far as is known; without any libp2p looks for some. */
  readonly addresses: readonly string[];
}

/**
 * A connection to the peer, one that is there if it is: direct where that comes about in time, else through a relay
 * of the peer. libp2p would try one address after the other, and use up the time for those that nobody answers at.
 *
 * @throws Error when none comes about
 */
export async function connect(
  node: OverlayNode,
  { peer, addresses }: Destination,
  signal: AbortSignal,
): Promise<Connection> {
  const relayed = relayedOf(node, addresses);
  if (relayed.length === 0) return dial(node, { peer, addresses: directOf(addresses) }, signal);
  const direct = directOf(addresses);
  const ways = direct.length > 0 ? [direct, ...relayed] : relayed;
  let cause: unknown;
  for (const way of ways) {
    try {
      return await dial(node, { peer, addresses: way }, timeLimit(WAY_DIAL_TIMEOUT_MS, signal));
    } catch (error) {
      cause = error;
      if (signal.aborted) break;
    }
  }
  throw cause;
}

/** @throws Error when the peer has no direct addresses, or none of them answers in time */
export async function connectDirectly(
  node: OverlayNode,
  { peer, addresses }: Destination,
  signal: AbortSignal,
): Promise<Connection> {
  const direct = directOf(addresses);
  if (direct.length === 0) throw new Error('no direct address is known');
  return dial(node, { peer, addresses: direct }, timeLimit(WAY_DIAL_TIMEOUT_MS, signal));
}

async function dial(
  { libp2p }: OverlayNode,
  { peer, addresses }: Destination,
  signal: AbortSignal,
): Promise<Connection> {
  const id = peerIdFromString(peer);
  const targets = addresses.map((address) => multiaddr(address));
  const connection = await libp2p.dial(targets.length > 0 ? targets : id, { signal });
  if (!connection.remotePeer.equals(id)) throw new Error(`${connection.remotePeer} answered in its place`);
  return connection;
}

function directOf(addresses: readonly string[]): readonly string[] {
  return addresses.filter((address) => relayOf(multiaddr(address)) === undefined);
}

/** By relay, without this node itself; those first that it is connected to. */
function relayedOf({ libp2p, id }: OverlayNode, addresses: readonly string[]): (readonly string[])[] {
  const byRelay = new Map<string, string[]>();
  for (const address of addresses) {
    const relay = relayOf(multiaddr(address));
    if (relay === undefined || relay === id) continue;
    byRelay.set(relay, [...(byRelay.get(relay) ?? []), address]);
  }
  if (byRelay.size === 0) return [];
  const connected = new Set(libp2p.getPeers().map(String));
  const rank = (relay: string) => (connected.has(relay) ? 0 : 1);
  return [...byRelay].sort(([a], [b]) => rank(a) - rank(b)).map(([, sameRelay]) => sameRelay);
}
