import type { Connection, Libp2p } from '@libp2p/interface';
import { DhtSpaces } from '../../src/dht-space/dht-spaces.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { parseSeeds } from '../../src/dht-space/seeds.js';

const LISTEN = ['/ip4/127.0.0.1/tcp/0'];
const SPACE = 'town';
const POINT = { name: 'square', type: 'topic', arguments: {} } as const;
const DHT_PROTOCOL = '/xspace/kad/1.0.0';
/** Longer than anything that follows a join waits before it begins. */
const QUIET_MS = 3_000;
const POLL_INTERVAL_MS = 50;

const silent = () => {};
const logger = { debug: silent, info: silent, warn: silent, error: silent };
const memory = { high: false, add: silent, onChange: () => silent };

/** A node of the overlay in this process, over TCP and noise and without a broker, whose requests of the DHT are counted. */
export class SpaceMember {
  readonly #spaces: DhtSpaces;
  #dhtRequests = 0;
  #askedMs = performance.now();

  private constructor(overlay: OverlayNode) {
    this.#spaces = new DhtSpaces(overlay, { listen: LISTEN, name: 'member', logger, memory });
    countStreams(overlay.libp2p, DHT_PROTOCOL, () => {
      this.#dhtRequests += 1;
      this.#askedMs = performance.now();
    });
  }

  static async start(): Promise<SpaceMember> {
    const member = new SpaceMember(await startOverlayNode({ listen: LISTEN, logger }));
    await member.#spaces.start();
    return member;
  }

  /** Joins the one point through another member; without one, declares the space. Resolves with the members linked. */
  async join(through?: SpaceMember): Promise<number> {
    if (through === undefined) await this.#spaces.declareSpace({ space: SPACE, settings: {} });
    const settings = through === undefined ? {} : { seeds: [...through.#spaces.addresses] };
    const receiver = { receive: silent, deleted: silent };
    const session = await this.#spaces.join({ space: SPACE, point: POINT, settings }, receiver);
    return session.status().participants.filter(({ linked }) => linked).length;
  }

  /** Takes part in the overlay through another node, and is a member of nothing. */
  bootstrap(through: SpaceMember): Promise<void> {
    return this.#spaces.bootstrap(parseSeeds(through.#spaces.addresses, 'seeds'));
  }

  /** Requests sent so far: kad-dht opens a stream for each. */
  get dhtRequests(): number {
    return this.#dhtRequests;
  }

  /** Resolves when nothing that follows a join is left to do: it has not asked the DHT for a while. */
  async quiet(): Promise<void> {
    this.#askedMs = performance.now();
    while (performance.now() - this.#askedMs < QUIET_MS) {
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }

  stop(): Promise<void> {
    return this.#spaces.close();
  }
}

/**
 * Calls back for each stream of the protocol that this side opens. As libp2p's middleware, it would run once more for each
 * stream that has come in.
 */
function countStreams(libp2p: Libp2p, protocol: string, opened: () => void): void {
  libp2p.addEventListener('connection:open', ({ detail: connection }: CustomEvent<Connection>) => {
    const open = connection.newStream.bind(connection);
    connection.newStream = (protocols, options) => {
      if ([protocols].flat().includes(protocol)) opened();
      return open(protocols, options);
    };
  });
}
