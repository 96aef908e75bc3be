import type { Logger } from '../overlay/index.js';
import { aborted } from './aborted.js';
import type { Directory } from './directory.js';
import {
  DISCOVERY_INTERVAL_MS,
  DISCOVERY_LIMIT_MS,
  FIRST_DISCOVERY_MS,
  LONELY_DISCOVERY_INTERVAL_MS,
} from './limits.js';
import type { Links } from './links.js';
import type { Members } from './members.js';
import { timeLimit } from './time-limit.js';

export interface DiscoveryOptions {
  readonly directory: Directory;
  readonly links: Links;
  readonly logger: Logger;
  /** Asks this peer for the space, and learns what it says. */
  readonly ask: (peer: string) => Promise<void>;
  /** Dials members known from before; resolves with whom it reached. */
  readonly meetKnown: (space: {
    readonly name: string;
    readonly owner: string;
  }) => Promise<readonly string[]>;
}

/** The space that members are looked for. */
export interface DiscoveryHost {
  readonly name: string;
  readonly owner: string;
  /** What the DHT knows members by. */
  readonly meetingPlace: string;
  readonly members: Members;
}

/** Looks in the DHT for members of a space that nobody has told of, again and again. */
export class Discovery {
  readonly #space: DiscoveryHost;
  readonly #options: DiscoveryOptions;
  #announced = false;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(space: DiscoveryHost, options: DiscoveryOptions) {
    this.#space = space;
    this.#options = options;
  }

  /** The first time comes soon, but not while a join has its hands full. */
  begin(): void {
    const { links } = this.#options;
    this.#nextMs = links.now() + links.random() * FIRST_DISCOVERY_MS;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#nextMs) return;
    const isAlone = this.#space.members.others.length === 0;
    this.#nextMs = nowMs + (isAlone ? LONELY_DISCOVERY_INTERVAL_MS : DISCOVERY_INTERVAL_MS);
    void this.run();
  }

  /** Announces first and looks up after: of two nodes that do so at the same time, at least one sees the other. */
  async run(): Promise<void> {
    const { directory, logger, meetKnown } = this.#options;
    const { members, meetingPlace, name } = this.#space;
    const limit = timeLimit(DISCOVERY_LIMIT_MS);
    try {
      if (members.others.length === 0) {
        const met = await meetKnown(this.#space);
        await Promise.race([Promise.all(met.map((peer) => this.#ask(peer))), aborted(limit)]);
      }
      // The directory repeats it.
      if (!this.#announced) {
        this.#announced = true;
        await Promise.race([directory.announce(meetingPlace), aborted(limit)]);
      }
      const known = new Set(members.others.map(({ peer }) => peer));
      const asked: Promise<void>[] = [];
      for await (const peer of directory.findMembers(meetingPlace, { signal: limit })) {
        if (!known.has(peer.toString())) asked.push(this.#ask(peer.toString()));
      }
      await Promise.race([Promise.all(asked), aborted(limit)]);
    } catch (error) {
      logger.debug({ err: error, space: name }, 'could not look for members');
    }
  }

  /** Never rejects: whoever does not answer has nothing to hand over. */
  async #ask(peer: string): Promise<void> {
    const { ask, logger } = this.#options;
    await ask(peer).catch((err: unknown) => logger.debug({ err, peer }, 'a member did not answer'));
  }
}
