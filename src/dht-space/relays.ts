import type { CircuitRelayTransportComponents } from '@libp2p/circuit-relay-v2';
import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2';
import type {
  Connection,
  IdentifyResult,
  Listener,
  PeerId,
  TopologyFilter,
  Transport,
} from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Libp2p } from 'libp2p';
import type { Logger } from '../overlay/index.js';
import { MAX_RELAYS, MAX_RELAYS_ASKED, RELAY_REFUSED_MS, RELAY_SEARCH_INTERVAL_MS } from './limits.js';
import { relayOf, withPeer } from './relayed.js';

/** The part of libp2p that its public interface leaves out: what a node listens on. */
export interface Listening {
  getListeners(): Listener[];
  listen(addresses: Multiaddr[]): Promise<void>;
}

/** libp2p takes those in it for known, and does not look at them on its own: {@link Relays} does. */
const EVERYBODY: TopologyFilter = { has: () => true, add: () => {}, remove: () => {} };

/**
 * Dials through relays, and takes connections in that come through them. By itself libp2p would take any node for a
 * relay that claims to bring a connection, and listen there from then on.
 */
export function relayedTransport(): (components: CircuitRelayTransportComponents) => Transport {
  return (components) => {
    const { peerId, peerStore, registrar, connectionManager, connectionGater } = components;
    const { addressManager, upgrader, randomWalk, events, logger } = components;
    const transportManager: Pick<typeof components.transportManager, 'listen'> = {
      listen: async () => {
        throw new Error('this node has asked somebody else to relay for it');
      },
    };
    return circuitRelayTransport({ discoveryFilter: EVERYBODY })({
      ...{ peerId, peerStore, registrar, connectionManager, connectionGater },
      ...{ addressManager, upgrader, randomWalk, events, logger },
      transportManager: transportManager as typeof components.transportManager,
    });
  };
}

/**
 * Has some of the connected nodes relay for this one, those that offer it: nodes that cannot dial this one reach it
 * through them. Asks nobody where nobody offers it.
 */
export class Relays {
  readonly #libp2p: Libp2p;
  readonly #listening: Listening;
  readonly #logger: Logger;
  /** Connected nodes that relay for others. */
  readonly #offers = new Set<string>();
  /** Listeners stay where they are when their relay goes, and serve it again when it comes back. */
  readonly #listeners = new Map<string, Listener>();
  readonly #refusedMs = new Map<string, number>();
  readonly #stopped = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #state: 'idle' | 'asking' = 'idle';

  constructor(libp2p: Libp2p, listening: Listening, logger: Logger) {
    this.#libp2p = libp2p;
    this.#listening = listening;
    this.#logger = logger;
    const { signal } = this.#stopped;
    libp2p.addEventListener('peer:identify', ({ detail }) => this.#identified(detail), { signal });
    libp2p.addEventListener('peer:disconnect', ({ detail }) => this.#gone(detail), { signal });
    this.#timer = setInterval(() => void this.#ask(), RELAY_SEARCH_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped.abort();
    clearInterval(this.#timer);
  }

  /** Whether this node has asked the peer to relay for it. */
  has(relay: PeerId): boolean {
    return this.#listeners.has(relay.toString());
  }

  /** Peer ids of those that relay for this node now. */
  get #current(): ReadonlySet<string> {
    const relays = [...this.#listeners.values()].flatMap((listener) => listener.getAddrs().map(relayOf));
    return new Set(relays.filter((relay) => relay !== undefined));
  }

  #identified({ peerId, protocols }: IdentifyResult): void {
    if (!protocols.includes(RELAY_V2_HOP_CODEC)) return;
    this.#offers.add(peerId.toString());
    void this.#ask();
  }

  #gone(peer: PeerId): void {
    this.#offers.delete(peer.toString());
    this.#refusedMs.delete(peer.toString());
    void this.#ask();
  }

  /** One after the other, until there are enough. */
  async #ask(): Promise<void> {
    if (this.#state === 'asking') return;
    this.#state = 'asking';
    try {
      for (const relay of this.#offers) {
        const current = this.#current;
        if (current.size >= MAX_RELAYS || this.#stopped.signal.aborted) return;
        if (!current.has(relay) && this.#mayAsk(relay)) await this.#reserve(relay);
      }
    } finally {
      this.#state = 'idle';
    }
  }

  #mayAsk(relay: string): boolean {
    if (!this.#listeners.has(relay) && this.#listeners.size >= MAX_RELAYS_ASKED) return false;
    return performance.now() - (this.#refusedMs.get(relay) ?? Number.NEGATIVE_INFINITY) > RELAY_REFUSED_MS;
  }

  async #reserve(relay: string): Promise<void> {
    const connection = this.#connectionTo(relay);
    if (connection === undefined) return;
    const address = withPeer(connection.remoteAddr, relay).encapsulate('/p2p-circuit');
    try {
      await this.#listen(relay, address);
      this.#logger.info({ relay }, 'reached through a relay too');
    } catch (error) {
      this.#refusedMs.set(relay, performance.now());
      const cause = error instanceof Error ? error.message : String(error);
      this.#logger.info({ relay, cause }, 'this relay does not relay for this node');
    }
  }

  #listen(relay: string, address: Multiaddr): Promise<void> {
    const known = this.#listeners.get(relay);
    if (known !== undefined) return known.listen(address);
    const before = new Set(this.#listening.getListeners());
    const listened = this.#listening.listen([address]);
    const listener = this.#listening.getListeners().find((candidate) => !before.has(candidate));
    if (listener !== undefined) this.#listeners.set(relay, listener);
    return listened;
  }

  /** One that this node dialled: on its address others can dial the relay, which one that the relay dialled does not tell. */
  #connectionTo(relay: string): Connection | undefined {
    return this.#libp2p
      .getConnections()
      .find(
        ({ remotePeer, direct, direction, status }) =>
          direct && direction === 'outbound' && status === 'open' && remotePeer.toString() === relay,
      );
  }
}
