import type { ConnectionEncrypter, MultiaddrConnection, PeerId } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { MAX_STORES_PER_PEER, STORES_PER_SECOND_PER_PEER } from './limits.js';
import type { Refusals } from './refusals.js';
import { PeerFault, wentAway } from './refusals.js';

/** What libp2p keeps to itself and tells its services only. */
interface UpgraderComponents {
  readonly connectionManager: { acceptIncomingConnection(connection: MultiaddrConnection): boolean };
}

/** A service of libp2p's that counts connections which are one too many: libp2p closes them without a word. */
export function countedConnections(refusals: Refusals): (components: UpgraderComponents) => object {
  return ({ connectionManager }) => {
    const accept = connectionManager.acceptIncomingConnection.bind(connectionManager);
    connectionManager.acceptIncomingConnection = (connection) => {
      const isAccepted = accept(connection);
      if (!isAccepted) {
        const peer = connection.remoteAddr.toString();
        refusals.add('connection', { peer, cause: 'too many connections, of its host or in all' });
      }
      return isAccepted;
    };
    return {};
  };
}

/** Counts who connects and does not prove to be the peer that it says it is. */
export function countedHandshakes<C>(
  create: (components: C) => ConnectionEncrypter,
  refusals: Refusals,
): (components: C) => ConnectionEncrypter {
  return (components) => {
    const encrypter = create(components);
    const secure = encrypter.secureInbound.bind(encrypter);
    encrypter.secureInbound = async (connection, options) => {
      try {
        return await secure(connection, options);
      } catch (error) {
        if (!wentAway(error)) refusals.add('handshake', { peer: 'unknown', cause: String(error) });
        throw error;
      }
    };
    return encrypter;
  };
}

/** A request of the DHT, as far as it matters here. */
interface DhtRequest {
  readonly type: string;
  readonly providers?: readonly { readonly id: Uint8Array }[];
}

interface DhtRequests {
  handleMessage(peer: PeerId, request: DhtRequest): Promise<unknown>;
}

/** What each peer has stored here lately. */
class StoreBudgets {
  readonly #now: () => number;
  /** How many more it may, and as of when; those that have all of it left are not kept. */
  readonly #budgets = new Map<string, { left: number; sinceMs: number }>();
  #sweptMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** False when it is too much. */
  take(peer: string): boolean {
    const nowMs = this.#now();
    this.#sweep(nowMs);
    const budget = this.#budgets.get(peer) ?? { left: MAX_STORES_PER_PEER, sinceMs: nowMs };
    budget.left = leftOf(budget, nowMs);
    budget.sinceMs = nowMs;
    this.#budgets.set(peer, budget);
    if (budget.left < 1) return false;
    budget.left -= 1;
    return true;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < 1000) return;
    this.#sweptMs = nowMs;
    for (const [peer, budget] of this.#budgets) {
      if (leftOf(budget, nowMs) >= MAX_STORES_PER_PEER) this.#budgets.delete(peer);
    }
  }
}

function leftOf({ left, sinceMs }: { left: number; sinceMs: number }, nowMs: number): number {
  return Math.min(MAX_STORES_PER_PEER, left + ((nowMs - sinceMs) / 1000) * STORES_PER_SECOND_PER_PEER);
}

/**
 * Counts what the DHT refuses to do for others: kad-dht resets the stream, and says nothing. And has it refuse who stores
 * so much that others' things would have to make room.
 */
export function refuseInDht(
  dht: KadDHT & { readonly rpc?: Partial<DhtRequests> },
  refusals: Refusals,
  now: () => number = () => performance.now(),
): void {
  const { rpc } = dht;
  if (rpc?.handleMessage === undefined) throw new TypeError('kad-dht has no rpc.handleMessage');
  const handle = rpc.handleMessage.bind(rpc);
  const budgets = new StoreBudgets(now);
  rpc.handleMessage = async (peer, request) => {
    const id = peer.toString();
    try {
      if (storesFor(request) && !budgets.take(id))
        throw new PeerFault('flood', 'it stores too much in the DHT');
      // kad-dht passes these over in silence.
      if (request.type === 'ADD_PROVIDER' && request.providers?.some((provider) => !isOf(peer, provider.id)))
        throw new PeerFault('forged', 'a provider record for another peer');
      return await handle(peer, request);
    } catch (error) {
      const isTheirs = storesFor(request) || (error instanceof Error && error.name.startsWith('Invalid'));
      if (isTheirs) refusals.addFault(error, id);
      throw error;
    }
  };
}

function storesFor({ type }: DhtRequest): boolean {
  return type === 'PUT_VALUE' || type === 'ADD_PROVIDER';
}

function isOf(peer: PeerId, id: Uint8Array): boolean {
  return Buffer.compare(peer.toMultihash().bytes, id) === 0;
}
