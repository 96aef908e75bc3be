import type { CircuitRelayService } from '@libp2p/circuit-relay-v2';
import { dcutr } from '@libp2p/dcutr';
import type { Address, Libp2p, PeerId, PeerInfo } from '@libp2p/interface';
import { uPnPNAT } from '@libp2p/upnp-nat';
import { isLoopback, isPrivate } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr';
import type { Logger } from '../overlay/index.js';
import { dialledBack } from './dialled-back.js';
import {
  DIAL_TIMEOUT_MS,
  ENOUGH_CONNECTIONS,
  MAX_ADDRESSES_PER_MEMBER,
  MAX_ADDRESSES_PER_RELAY,
  MAX_LOCAL_DIALS,
} from './limits.js';
import { localDiscovery } from './local-discovery.js';
import { freeReservations, isRelayFull, relayServer } from './relay-server.js';
import { relayOf } from './relayed.js';
import type { Listening } from './relays.js';
import { Relays, relayedTransport } from './relays.js';
import { timeLimit } from './time-limit.js';

export interface ReachabilityOptions {
  /** Multiaddrs told to others in place of the listeners'. A node that has some needs nobody to relay for it. */
  readonly advertise?: readonly string[];
  /** Finds nodes on the same network, and is found by them. */
  readonly mdns?: boolean;
  /** Has the router forward a port to this node. */
  readonly upnp?: boolean;
  /** Relays for others that cannot be dialled. */
  readonly relay?: boolean;
}

/** An address that others are told of. */
export interface ToldAddress {
  /** A multiaddr with the node's peer id. */
  readonly address: string;
  /**
   * `dialled`: another node has dialled this one there; `relay`: through a node that relays; `assumed`: nobody has looked,
   * which for private and for advertised addresses nobody does.
   */
  readonly reached: 'dialled' | 'relay' | 'assumed';
}

/** What libp2p keeps to itself and tells its services only. */
interface ListeningComponents {
  readonly transportManager: Listening & { getAddrs(): Multiaddr[] };
  readonly addressManager: {
    confirmObservedAddr(address: Multiaddr, options: { type: 'transport'; ttl: number }): void;
  };
}

interface Services {
  readonly listening: ListeningComponents;
  readonly relayServer?: CircuitRelayService;
}

/** How others reach this node and it reaches them: what it tells of itself, relays, the network it is in. */
export class Reachability {
  readonly #options: ReachabilityOptions;
  readonly #logger: Logger;
  readonly #stopped = new AbortController();
  #libp2p: Libp2p | undefined;
  #relays: Relays | undefined;
  #addresses: readonly string[] = [];
  /** Where others have dialled this node, without its peer id. */
  readonly #dialled = new Set<string>();
  /** Found while the node was starting. */
  readonly #early: PeerInfo[] = [];
  #localDials = 0;
  #admit: (peer: PeerId) => Promise<void> = async () => {};

  constructor(options: ReachabilityOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  /** Its part of libp2p's options, beside the transport without relays. */
  get init() {
    const { upnp, relay } = this.#options;
    return {
      transport: relayedTransport(),
      peerDiscovery: this.#options.mdns ? [localDiscovery((peer) => void this.#found(peer))] : [],
      addressSorter,
      connectionGater: {
        // libp2p asks which relay brings it, and who comes.
        denyInboundRelayedConnection: (via: PeerId) => !this.#relays?.has(via),
        denyOutboundRelayedConnection: (_from: PeerId, to: PeerId) =>
          this.#libp2p === undefined || isRelayFull(this.#libp2p, to),
      },
      services: {
        listening: ({ transportManager, addressManager }: ListeningComponents) => ({
          transportManager,
          addressManager,
        }),
        dialledBack: dialledBack({
          confirmed: (address) => this.#confirmed(address.toString()),
          refuted: (address) => this.#refuted(address.toString()),
        }),
        dcutr: dcutr(),
        ...(relay && { relayServer: relayServer() }),
        // What the router says counts until others have found out that they cannot dial there, as with listeners.
        ...(upnp && { upnp: uPnPNAT({ autoConfirmAddress: true }) }),
      },
    };
  }

  /** The node has started: it has itself relayed where nothing says how it is reached. `admit` takes in who is found. */
  started(libp2p: Libp2p & { readonly services: Services }, admit: (peer: PeerId) => Promise<void>): void {
    const { listening, relayServer: server } = libp2p.services;
    this.#libp2p = libp2p;
    this.#admit = admit;
    // libp2p would tell nobody of public listeners before others have dialled there, and without that nobody would.
    for (const address of listening.transportManager.getAddrs()) {
      listening.addressManager.confirmObservedAddr(address, { type: 'transport', ttl: 0 });
    }
    if (server !== undefined) freeReservations(libp2p, server);
    const isElsewhere = (this.#options.advertise ?? []).length > 0;
    if (!isElsewhere && server === undefined) {
      this.#relays = new Relays(libp2p, listening.transportManager, this.#logger);
    }
    const { signal } = this.#stopped;
    libp2p.addEventListener('self:peer:update', () => this.#update(libp2p), { signal });
    this.#update(libp2p);
    for (const peer of this.#early.splice(0)) void this.#found(peer);
  }

  /** Where others reach this node now: multiaddrs with `/p2p/…`, at most MAX_ADDRESSES_PER_MEMBER. Relayed ones are last. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** The same, and how that is known. */
  get told(): readonly ToldAddress[] {
    return this.#addresses.map((address) => {
      const at = multiaddr(address);
      if (relayOf(at) !== undefined) return { address, reached: 'relay' };
      const isDialled = this.#dialled.has(withoutPeer(at));
      return { address, reached: isDialled ? 'dialled' : 'assumed' };
    });
  }

  stop(): void {
    this.#stopped.abort();
    this.#relays?.stop();
  }

  #update(libp2p: Libp2p): void {
    const all = libp2p.getMultiaddrs();
    const direct = all.filter((address) => relayOf(address) === undefined);
    const relays = new Set(all.flatMap((address) => relayOf(address) ?? []));
    const relayed = [...relays].flatMap((relay) =>
      all.filter((address) => relayOf(address) === relay).slice(0, MAX_ADDRESSES_PER_RELAY),
    );
    const room = Math.max(0, MAX_ADDRESSES_PER_MEMBER - relayed.length);
    const chosen = [...direct.slice(0, room), ...relayed].slice(0, MAX_ADDRESSES_PER_MEMBER);
    this.#addresses = chosen.map((address) => address.toString());
    const told = new Set(chosen.map(withoutPeer));
    for (const address of this.#dialled) if (!told.has(address)) this.#dialled.delete(address);
  }

  #confirmed(address: string): void {
    if (this.#dialled.has(address)) return;
    this.#dialled.add(address);
    this.#logger.info({ address }, 'others can dial this node');
  }

  #refuted(address: string): void {
    this.#dialled.delete(address);
    this.#logger.warn(
      { address },
      'others cannot dial this node there: nobody is told of the address for now',
    );
  }

  // --- the same network ---

  async #found({ id, multiaddrs }: PeerInfo): Promise<void> {
    const libp2p = this.#libp2p;
    if (libp2p === undefined) {
      if (this.#early.length < MAX_LOCAL_DIALS) this.#early.push({ id, multiaddrs });
      return;
    }
    if (id.equals(libp2p.peerId) || this.#localDials >= MAX_LOCAL_DIALS) return;
    if (libp2p.getConnections(id).length > 0 || libp2p.getPeers().length >= ENOUGH_CONNECTIONS) return;
    this.#localDials += 1;
    try {
      const addresses = multiaddrs.map((address) => address.encapsulate(`/p2p/${id}`));
      await libp2p.dial(addresses, { signal: timeLimit(DIAL_TIMEOUT_MS, this.#stopped.signal) });
      await this.#admit(id);
      this.#logger.info({ peer: id.toString() }, 'found on the same network');
    } catch (error) {
      this.#logger.debug({ peer: id.toString(), error }, 'found on the same network, but not reached');
    } finally {
      this.#localDials -= 1;
    }
  }
}

function withoutPeer(address: Multiaddr): string {
  return address.decapsulateCode(CODE_P2P).toString();
}

/**
 * For peers that are dialled by their ids, one address after the other. Who has relayed addresses can rarely be dialled at
 * private ones, and a request of the DHT has no time for them. Links try each way for a time of its own.
 */
function addressSorter({ multiaddr: a }: Address, { multiaddr: b }: Address): -1 | 0 | 1 {
  const difference = rankOf(a) - rankOf(b);
  if (difference === 0) return 0;
  return difference < 0 ? -1 : 1;
}

function rankOf(address: Multiaddr): number {
  if (relayOf(address) !== undefined) return 1;
  if (isLoopback(address)) return 3;
  return isPrivate(address) ? 2 : 0;
}
