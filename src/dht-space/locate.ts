import type { Connection, PeerId } from '@libp2p/interface';
import type { Directory } from './directory.js';
import { LOOKUP_GRACE_MS, LOOKUP_RETRY_MS, MAX_PEERS_ASKED } from './limits.js';
import { lookUp } from './lookup.js';
import type { OverlayNode } from './node.js';
import { open, RecordError } from './records.js';
import { PeerFault } from './refusals.js';
import type { FoundSpace, LookupRequest } from './wire/control.js';

export interface LocateOptions {
  readonly node: OverlayNode;
  readonly directory: Directory;
  /** The space's name. */
  readonly space: string;
  /** The wanted owner's peer id; undefined: any. */
  readonly owner: string | undefined;
  /** Peer ids of seeds, and of members from before. */
  readonly known: readonly string[];
  /** What the DHT knows the space's members by. */
  readonly meetingPlace: string;
  /** What this peer is asked. */
  readonly requestTo: (peer: string) => LookupRequest;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** When to ask again while there is no answer. */
  readonly retryMs?: readonly number[];
}

/** What somebody knows of a space. */
export interface Answer extends FoundSpace {
  /** Peer id of who said so; undefined: the DHT. */
  readonly from?: string;
}

/** What was found of spaces of a name. */
export interface Located {
  readonly byOwner: ReadonlyMap<string, readonly Answer[]>;
  /** What the DHT says, by owner. */
  readonly claims: ReadonlyMap<string, readonly Answer[]>;
  /** Whether members answered; otherwise it is what the DHT remembers of spaces that nobody may be in any more. */
  readonly isAlive: boolean;
  /** Peer id of somebody whose answer does not count, as by this node's clock it comes from the future. */
  readonly ahead?: string | undefined;
}

/**
 * Finds spaces of a name: asks the nodes that this one is connected to and reads the claims of the name in the DHT. The
 * members that the DHT names are asked where that leaves it open who is alive. What is no signed manifest of such a space
 * does not count, nor does a claim whose space nobody is in while there is one that somebody is in.
 */
export async function locate(options: LocateOptions): Promise<Located> {
  const { signal, retryMs = LOOKUP_RETRY_MS } = options;
  let located = await new Location(options).located();
  for (const waitMs of retryMs) {
    if (located.byOwner.size > 0 || signal.aborted) break;
    await pause(waitMs, signal);
    located = await new Location(options).located();
  }
  return located;
}

class Location {
  readonly #options: LocateOptions;
  readonly #asked = new Map<string, Promise<void>>();
  /** By owner: what members said, and what nobody but the DHT says. */
  readonly #answers = new Map<string, Answer[]>();
  readonly #claims = new Map<string, Answer[]>();
  readonly #first = Promise.withResolvers<void>();
  #ahead: string | undefined;

  constructor(options: LocateOptions) {
    this.#options = options;
  }

  /**
   * Ends when all have answered; or those known before, and some time after the first answer: two owners may claim the name, and
   * whoever claims it falsely may be the faster one.
   */
  async located(): Promise<Located> {
    const all = this.#askEverybody();
    const known = Promise.all(this.#options.known.map((peer) => this.#asked.get(peer)));
    const grace = this.#first.promise.then(() =>
      Promise.all([known, pause(LOOKUP_GRACE_MS, this.#options.signal)]),
    );
    await Promise.race([all, grace]);
    const isAlive = this.#answers.size > 0;
    const claims = new Map(this.#claims);
    const byOwner = isAlive ? new Map(this.#answers) : claims;
    return { byOwner, claims, isAlive, ahead: this.#ahead };
  }

  async #askEverybody(): Promise<void> {
    const { directory, meetingPlace, signal } = this.#options;
    // The other half is for the members that the DHT names.
    for (const peer of this.#connected()) this.#ask(peer, MAX_PEERS_ASKED / 2);
    await Promise.all([...this.#asked.values(), this.#readClaims()]);
    const isOpen = [...this.#claims.keys()].some((owner) => !this.#answers.has(owner));
    if (this.#answers.size > 0 && !isOpen) return;
    for await (const peer of directory.findMembers(meetingPlace, { signal })) this.#ask(peer);
    await Promise.all(this.#asked.values());
  }

  /** Whom this node knew, then others that it has dialled: whoever has dialled it cannot crowd those out. */
  #connected(): PeerId[] {
    const { node, known } = this.#options;
    const rankOf = ({ remotePeer, direction }: Connection) =>
      known.includes(remotePeer.toString()) ? 0 : direction === 'outbound' ? 1 : 2;
    const connections = [...node.libp2p.getConnections()].sort((a, b) => rankOf(a) - rankOf(b));
    return connections.map(({ remotePeer }) => remotePeer);
  }

  async #readClaims(): Promise<void> {
    const { directory, space, owner, signal } = this.#options;
    for (const { bytes } of await directory.findManifests(space, { signal, owner })) {
      this.#add(this.#claims, { manifest: bytes, members: [], points: [] });
    }
  }

  #ask(peer: PeerId, limit = MAX_PEERS_ASKED): void {
    const { node, requestTo, signal } = this.#options;
    const id = peer.toString();
    if (this.#asked.has(id) || this.#asked.size >= limit) return;
    const answer = lookUp(node, peer, requestTo(id), { signal }).then(
      ({ spaces }) => {
        for (const space of spaces)
          if (this.#add(this.#answers, { ...space, from: id })) this.#first.resolve();
      },
      // Whoever does not answer has nothing to say.
      (error: unknown) => this.#blame(error, id),
    );
    this.#asked.set(id, answer);
  }

  /** False for what is no space of the name. */
  #add(to: Map<string, Answer[]>, found: Answer): boolean {
    const owner = this.#ownerOf(found);
    if (owner === undefined) return false;
    to.set(owner, [...(to.get(owner) ?? []), found]);
    return true;
  }

  #ownerOf({ manifest, from }: Answer): string | undefined {
    const wanted = this.#options;
    try {
      const { space, owner, deleted } = open('space-manifest', manifest, wanted.now()).record;
      const isWanted = space === wanted.space && (wanted.owner ?? owner) === owner;
      return isWanted && !deleted ? owner : undefined;
    } catch (error) {
      if (!(error instanceof RecordError)) return undefined;
      if (error.code === 'not-yet-valid') this.#ahead = from;
      this.#blame(PeerFault.of(error), from);
      return undefined;
    }
  }

  #blame(error: unknown, peer: string | undefined): void {
    if (error instanceof PeerFault && peer !== undefined) this.#options.node.refusals.addFault(error, peer);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', done, { once: true });
  function done(): void {
    clearTimeout(timer);
    signal.removeEventListener('abort', done);
    resolve();
  }
  return promise;
}
