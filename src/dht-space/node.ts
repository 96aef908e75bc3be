import './promise-polyfill.js';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
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
import * as limits from './limits.js';
import { LiveRoutingTable } from './live-routing-table.js';

const DHT_PROTOCOL = '/xspace/kad/1.0.0';

export interface OverlayNodeOptions {
  /** Multiaddrs to listen on; port 0 picks one. */
  readonly listen: readonly string[];
  /** Multiaddrs told to others in place of the listeners'. */
  readonly announce?: readonly string[];
  readonly logger: Logger;
  /** Without it the node gets a new identity. */
  readonly privateKey?: Ed25519PrivateKey;
}

/** Starts listening. Knows nobody yet. @throws Error that says on which address it cannot listen, and why */
export async function startOverlayNode(options: OverlayNodeOptions): Promise<OverlayNode> {
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'));
  const libp2p = await createLibp2p({
    privateKey,
    start: false,
    addresses: { listen: [...options.listen], announce: [...(options.announce ?? [])] },
    datastore: new BoundedDatastore({
      '/dht/provider': limits.MAX_STORED_PROVIDER_BYTES,
      '/dht/record': limits.MAX_STORED_VALUE_BYTES,
      '': limits.MAX_STORED_PEER_BYTES,
    }),
    transports: [tcp()],
    connectionEncrypters: [noise()],
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
    },
    services: { identify: identify(), ping: ping(), dht: kadDHT(dhtOptions()) },
  });
  try {
    await libp2p.start();
  } catch (cause) {
    await libp2p.stop();
    throw new Error(`the overlay cannot start: ${reasonsOf(cause)}`, { cause });
  }
  // libp2p enters a node's own addresses a second after the start. Without them it names itself to nobody.
  await libp2p.peerStore.patch(libp2p.peerId, { multiaddrs: libp2p.getMultiaddrs() });
  return new OverlayNode(libp2p, privateKey, options.logger);
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

  /** @internal Use `startOverlayNode`. */
  constructor(libp2p: Libp2p<{ ping: Ping; dht: KadDHT }>, privateKey: Ed25519PrivateKey, logger: Logger) {
    this.libp2p = libp2p;
    this.dht = libp2p.services.dht;
    this.privateKey = privateKey;
    this.peerId = libp2p.peerId;
    this.id = libp2p.peerId.toString();
    this.routing = new LiveRoutingTable(libp2p, logger);
  }

  /** Where others reach this node: multiaddrs with `/p2p/…`, at most MAX_ADDRESSES_PER_MEMBER. */
  addresses(): string[] {
    const addresses = this.libp2p.getMultiaddrs().slice(0, limits.MAX_ADDRESSES_PER_MEMBER);
    return addresses.map((address) => address.toString());
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
    this.routing.stop();
    await this.libp2p.stop();
  }
}
