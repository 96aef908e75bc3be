import type { Directory } from './directory.js';
import type { Link } from './link.js';
import { earlierIds } from './manifest.js';
import { receiveControl } from './receive-control.js';
import { RivalClaims } from './rival-claims.js';
import type { DhtSpace } from './space.js';
import { Tombstones } from './tombstones.js';
import type { Control } from './wire/control.js';

/** The spaces that a node is in, and what peers say about them; beside them, what their owners have deleted. */
export class SpaceTable implements Iterable<DhtSpace> {
  readonly #now: () => number;
  readonly #bySpaceId = new Map<string, DhtSpace>();
  readonly #tombstones = new Tombstones();
  readonly #rivals = new RivalClaims(() => this);

  constructor(now: () => number) {
    this.#now = now;
  }

  [Symbol.iterator](): Iterator<DhtSpace> {
    return this.#bySpaceId.values();
  }

  get(spaceId: string): DhtSpace | undefined {
    return this.#bySpaceId.get(spaceId);
  }

  /** A space of the name; of one owner, where that is given. */
  named(name: string, owner: string | undefined): DhtSpace | undefined {
    for (const space of this) {
      if (space.name === name && (owner === undefined || space.owner === owner)) return space;
    }
    return undefined;
  }

  add(space: DhtSpace): void {
    const { spaceId, manifest } = space;
    this.#bySpaceId.set(spaceId, space);
    this.#tombstones.lift(spaceId);
    for (const earlier of earlierIds(manifest.record)) this.#tombstones.keep(earlier, manifest);
  }

  /** Members that were cut off will be shown what its owner has signed, if it was deleted. */
  delete({ spaceId, tombstone }: DhtSpace): void {
    this.#bySpaceId.delete(spaceId);
    if (tombstone !== undefined) this.#tombstones.keep(spaceId, tombstone);
  }

  /** The claims of the name in the DHT have become others, or this node has entered a space of it. */
  claimed(name: string, directory: Directory): void {
    this.#rivals.review(name, directory);
  }

  // --- links ---

  /** Where a peer can be reached, as far as the spaces know. */
  addresses(peer: string): readonly string[] {
    return [...this].flatMap((space) => space.members.addresses(peer));
  }

  opened(link: Link): void {
    for (const spaceId of link.spaces) this.get(spaceId)?.linked(link);
  }

  dead({ spaces, peer }: Link): void {
    for (const spaceId of spaces) this.get(spaceId)?.members.dead(peer);
  }

  /** @throws Error when a peer says what it may not; its session is to end */
  received(link: Link, message: Control): void {
    const tombstoneOf = (spaceId: string) => this.#tombstones.find(spaceId, this.#now())?.bytes;
    receiveControl(link, message, this.#bySpaceId, tombstoneOf);
  }
}
