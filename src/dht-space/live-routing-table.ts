import type { PeerId, TypedEventTarget } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import type { Ping } from '@libp2p/ping';
import type { Libp2p } from 'libp2p';
import type { Logger } from '../overlay/index.js';
import { DHT_READ_TIMEOUT_MS, MAX_FORMER_NEIGHBOURS, MAX_SUSPECTS, SUSPECT_TIMEOUT_MS } from './limits.js';
import { timeLimit } from './time-limit.js';

/** The part of kad-dht's routing table that its public interface leaves out. */
interface KadRoutingTable extends TypedEventTarget<{ 'peer:add': CustomEvent<PeerId> }> {
  readonly size: number;
  add(peer: PeerId, options?: { signal?: AbortSignal }): Promise<void>;
  remove(peer: PeerId, options?: { signal?: AbortSignal }): Promise<void>;
  find(peer: PeerId): Promise<PeerId | undefined>;
}

/**
 * The DHT's routing table without the dead. kad-dht evicts a peer only when its bucket is full, and a hung peer makes
 * every query wait. Here a peer that failed or disconnected is pinged once, and leaves the table when it is silent.
 * When another node names it again, kad-dht pings it before it gets in.
 */
export class LiveRoutingTable {
  readonly #libp2p: Libp2p<{ ping: Ping; dht: KadDHT }>;
  readonly #table: KadRoutingTable;
  readonly #logger: Logger;
  readonly #suspects = new Set<string>();
  /** Those that were in the table, by their ids, the last ones last. */
  readonly #lost = new Map<string, PeerId>();
  readonly #stopped = new AbortController();

  constructor(libp2p: Libp2p<{ ping: Ping; dht: KadDHT }>, logger: Logger) {
    this.#libp2p = libp2p;
    this.#table = kadRoutingTable(libp2p.services.dht);
    this.#logger = logger;
    libp2p.addEventListener('peer:disconnect', ({ detail: peer }) => this.suspect(peer), {
      signal: this.#stopped.signal,
    });
    this.onAdded((peer) => this.#lost.delete(peer.toString()));
  }

  get size(): number {
    return this.#table.size;
  }

  /**
   * Takes a peer in without waiting for it to be discovered; it is pinged first, unless it has just connected. Then, as a
   * node does that joins a Kademlia network, looks in the background for the peers nearest to this one, so that they get
   * to know each other.
   */
  async admit(peer: PeerId): Promise<void> {
    await this.#table.add(peer, { signal: timeLimit(SUSPECT_TIMEOUT_MS, this.#stopped.signal) });
    this.#meetNeighbours().catch((error: unknown) =>
      this.#logger.debug({ error }, 'could not look for neighbours'),
    );
  }

  /** Calls back when a peer came in, until the returned function is called. */
  onAdded(listener: (peer: PeerId) => void): () => void {
    const added = ({ detail: peer }: CustomEvent<PeerId>) => listener(peer);
    this.#table.addEventListener('peer:add', added);
    return () => this.#table.removeEventListener('peer:add', added);
  }

  /** Was in the table before, perhaps of an earlier start. */
  lost(peer: PeerId): void {
    this.#lost.set(peer.toString(), peer);
    for (const earliest of this.#lost.keys()) {
      if (this.#lost.size <= MAX_FORMER_NEIGHBOURS) break;
      this.#lost.delete(earliest);
    }
  }

  /**
   * Tries those again that are lost: it may be this node that was cut off, and it is in the DHT again before it asks anything.
   * Never rejects.
   */
  async recover(signal: AbortSignal): Promise<void> {
    const lost = [...this.#lost.values()];
    const isBack = await Promise.all(lost.map((peer) => this.#retry(peer, signal)));
    // Where one is reached, it was not the network: the others are gone.
    if (isBack.includes(true)) for (const peer of lost) this.#lost.delete(peer.toString());
  }

  async #retry(peer: PeerId, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#libp2p.dial(peer, { signal });
      await this.#table.add(peer, { signal });
      return true;
    } catch {
      return false;
    }
  }

  /** Checks in the background whether the peer is alive. */
  suspect(peer: PeerId): void {
    const id = peer.toString();
    if (this.#stopped.signal.aborted || this.#suspects.has(id) || this.#suspects.size >= MAX_SUSPECTS) return;
    this.#suspects.add(id);
    this.#check(peer)
      .catch((error: unknown) => this.#logger.debug({ peer: id, error }, 'could not check a peer'))
      .finally(() => this.#suspects.delete(id));
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #meetNeighbours(): Promise<void> {
    const signal = timeLimit(DHT_READ_TIMEOUT_MS, this.#stopped.signal);
    const self = this.#libp2p.peerId.toMultihash().bytes;
    for await (const event of this.#libp2p.services.dht.getClosestPeers(self, { signal })) {
      if (event.name === 'QUERY_ERROR') this.suspect(event.from);
    }
  }

  async #check(peer: PeerId): Promise<void> {
    if ((await this.#table.find(peer)) === undefined) return;
    const signal = timeLimit(SUSPECT_TIMEOUT_MS, this.#stopped.signal);
    try {
      await this.#libp2p.services.ping.ping(peer, { signal });
    } catch (error) {
      // The one ping stream that a connection may have is in use: somebody else is asking, and will know.
      if (error instanceof Error && error.name === 'TooManyOutboundProtocolStreamsError') return;
      if (this.#stopped.signal.aborted) return;
      await this.#table.remove(peer);
      this.lost(peer);
      this.#logger.debug({ peer: peer.toString(), error }, 'peer is dead: out of the routing table');
    }
  }
}

function kadRoutingTable(dht: KadDHT & { readonly routingTable?: object }): KadRoutingTable {
  const table: Partial<KadRoutingTable> = dht.routingTable ?? {};
  for (const name of ['add', 'remove', 'find', 'addEventListener'] as const) {
    if (typeof table[name] !== 'function') throw new TypeError(`kad-dht has no routingTable.${name}`);
  }
  return table as KadRoutingTable;
}
