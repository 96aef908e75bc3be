import './promise-polyfill.js';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface';
import type { KadDHT, KadDHTComponents } from '@libp2p/kad-dht';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import type { Ping } from '@libp2p/ping';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import type { Libp2p } from 'libp2p';
import { createLibp2p } from 'libp2p';
import type { Logger } from '../overlay/index.js';
import { BoundedDatastore } from './bounded-datastore.js';
import { withFewerPings } from './fewer-pings.js';
import { gatheredWrites } from './gathered-writes.js';
import * as limits from './limits.js';
import { LiveRoutingTable } from './live-routing-table.js';
import { formerNeighbours, returnTo } from './neighbours.js';
import { noiseCrypto } from './noise-crypto.js';
import type { OverlayStore } from './overlay-store.js';
import { DHT_PROTOCOL } from './protocol.js';
import type { ReachabilityOptions, ToldAddress } from './reachability.js';
import { Reachability } from './reachability.js';
import { Refusals } from './refusals.js';
import { UnseenRefusals } from './unseen-refusals.js';

export interface OverlayNodeOptions {
  /** Multiaddrs to listen on; port 0 picks one. */
  readonly listen: readonly string[];
  readonly reachability?: ReachabilityOptions | undefined;
  readonly logger: Logger;
  /** Without it the node gets a new identity. */
  readonly privateKey?: Ed25519PrivateKey;
  /** Where known peers and values of the DHT are kept over restarts. */
  readonly store?: OverlayStore | undefined;
}

/** Starts listening. Knows nobody yet. @throws Error that says on which address it cannot listen, and why */
export async function startOverlayNode(options: OverlayNodeOptions): Promise<OverlayNode> {
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'));
  const { reachability: how = {}, logger } = options;
  const reachability = new Reachability(how, logger);
  const refusals = new Refusals(logger);
  const unseen = new UnseenRefusals(refusals);
  const { transport, peerDiscovery, addressSorter, connectionGater, services } = reachability.init;
  const libp2p = await createLibp2p({
    privateKey,
    start: false,
    addresses: { listen: [...options.listen], announce: [...(how.advertise ?? [])] },
    datastore: await datastoreIn(options.store),
    transports: [tcp(), transport],
    peerDiscovery,
    connectionGater,
    connectionEncrypters: [unseen.handshakes(noise({ crypto: noiseCrypto }))],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: limits.MAX_STREAM_WINDOW_BYTES } })],
    // Addresses would be forgotten after an hour, connected or not, and seeds could hand out nobody.
    peerStore: { maxAddressAge: Number.POSITIVE_INFINITY, maxPeerAge: Number.POSITIVE_INFINITY },
    // Its pings queue behind bulk data, and it breaks what is busy. Links have a heartbeat of their own.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: limits.MAX_CONNECTIONS,
      maxIncomingPendingConnections: limits.MAX_PENDING_CONNECTIONS,
      inboundConnectionThreshold: limits.MAX_CONNECTIONS_PER_SECOND_PER_HOST,
      dialTimeout: limits.DIAL_TIMEOUT_MS,
      addressDialTimeout: limits.ADDRESS_DIAL_TIMEOUT_MS,
      // Redialling is decided elsewhere: seeds by the SeedDialer, members by their links.
      reconnectRetries: 0,
      addressSorter,
    },
    services: {
      // First: it has to see what the others open.
      unseenRefusals: unseen.connections(),
      gatheredWrites: gatheredWrites(),
      identify: identify(),
      ping: ping(),
      dht: (components: KadDHTComponents) => kadDHT(dhtOptions())(withFewerPings(components)),
      ...services,
    },
  });
  const neighbours = await formerNeighbours(libp2p);
  try {
    await libp2p.start();
  } catch (cause) {
    await libp2p.stop();
    throw new Error(`the overlay cannot start: ${reasonsOf(cause)}`, { cause });
  }
  unseen.refuseInDht(libp2p.services.dht);
  const node = new OverlayNode(libp2p, privateKey, { reachability, refusals, logger });
  reachability.started(libp2p, (peer) => node.routing.admit(peer));
  // libp2p enters a node's own addresses a second after the start. Without them it names itself to nobody.
  await libp2p.peerStore.patch(libp2p.peerId, { multiaddrs: libp2p.getMultiaddrs() });
  returnTo(neighbours, node, logger);
  return node;
}

/**
 * Provider records are not kept: they are good for minutes, and kad-dht would announce this node again for spaces that
 * it has not joined since.
 */
async function datastoreIn(store: OverlayStore | undefined): Promise<BoundedDatastore> {
  const datastore = new BoundedDatastore({
    '/dht/provider': { limitBytes: limits.MAX_STORED_PROVIDER_BYTES },
    '/dht/record': { limitBytes: limits.MAX_STORED_VALUE_BYTES, store },
    '/peers': { limitBytes: limits.MAX_STORED_PEER_BYTES, store },
    '': { limitBytes: limits.MAX_STORED_OTHER_BYTES },
  });
  await datastore.load();
  return datastore;
}

/** libp2p's message has a line per address, with the stack of its error below. */
function reasonsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const reasons = [...text.matchAll(/^\s+(\/\S+): (?:\w+: )?(.*)$/gm)].map(
    ([, address, why]) => `${address}: ${why}`,
  );
  return reasons.length > 0 ? reasons.join('; ') : text;
}

function dhtOptions(): Parameters<typeof kadDHT>[0] {
  const requestTimeout = {
    minTimeout: limits.MIN_REQUEST_TIMEOUT_MS,
    maxTimeout: limits.MAX_REQUEST_TIMEOUT_MS,
  };
  return {
    protocol: DHT_PROTOCOL,
    clientMode: false,
    peerInfoMapper: passthroughMapper,
    allowQueryWithZeroPeers: true,
    kBucketSize: limits.K_BUCKET_SIZE,
    alpha: limits.QUERY_CONCURRENCY,
    // One path: what disjoint paths add against malicious peers, signatures give here, and they multiply requests.
    disjointPaths: 1,
    networkDialTimeout: requestTimeout,
    pingNewContactTimeout: requestTimeout,
    pingOldContactTimeout: requestTimeout,
    maxInboundStreams: limits.MAX_DHT_STREAMS_PER_CONNECTION,
    maxOutboundStreams: limits.MAX_DHT_STREAMS_PER_CONNECTION,
    // Holders drop provider records by these; the Directory renews its own, well before kad-dht would at the threshold.
    reprovide: {
      validity: limits.PROVIDER_VALIDITY_MS,
      interval: limits.PROVIDER_SWEEP_MS,
      threshold: limits.PROVIDER_SWEEP_MS,
    },
  };
}

/** This process as a peer of the overlay: identity, connections, DHT. */
export class OverlayNode {
  readonly libp2p: Libp2p;
  readonly dht: KadDHT;
  readonly privateKey: Ed25519PrivateKey;
  readonly peerId: PeerId;
  /** The peer id as a string. */
  readonly id: string;
  readonly routing: LiveRoutingTable;
  /** What peers did that is refused. */
  readonly refusals: Refusals;
  readonly #reachability: Reachability;

  /** @internal Use `startOverlayNode`. */
  constructor(
    libp2p: Libp2p<{ ping: Ping; dht: KadDHT }>,
    privateKey: Ed25519PrivateKey,
    {
      reachability,
      refusals,
      logger,
    }: { readonly reachability: Reachability; readonly refusals: Refusals; readonly logger: Logger },
  ) {
    this.libp2p = libp2p;
    this.dht = libp2p.services.dht;
    this.privateKey = privateKey;
    this.peerId = libp2p.peerId;
    this.id = libp2p.peerId.toString();
    this.routing = new LiveRoutingTable(libp2p, logger);
    this.refusals = refusals;
    this.#reachability = reachability;
  }

  /** Where others reach this node: multiaddrs with `/p2p/…`, at most MAX_ADDRESSES_PER_MEMBER. */
  addresses(): readonly string[] {
    return this.#reachability.addresses;
  }

  /** The same, and how that is known. */
  get told(): readonly ToldAddress[] {
    return this.#reachability.told;
  }

  /** How many other nodes can be asked. */
  knows(): number {
    return Math.max(this.routing.size, this.libp2p.getPeers().length);
  }

  /** Remembers where a peer can be dialled by its id. */
  async learn(peer: PeerId, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return;
    await this.libp2p.peerStore.merge(peer, { multiaddrs: addresses.map((address) => multiaddr(address)) });
  }

  async stop(): Promise<void> {
    this.#reachability.stop();
    this.routing.stop();
    await this.libp2p.stop();
  }
}
