import type { Directory } from './directory.js';
import type { DhtSpace } from './space.js';

/** Other owners that claim the names of spaces that this node is in: they are counted, and lead to nothing else. */
export class RivalClaims {
  readonly #spaces: () => Iterable<DhtSpace>;
  /** Those counted, while they last. */
  readonly #known = new WeakMap<DhtSpace, ReadonlySet<string>>();

  constructor(spaces: () => Iterable<DhtSpace>) {
    this.#spaces = spaces;
  }

  /** The claims of the name have become others, or this node has entered a space of it. */
  review(name: string, directory: Directory): void {
    for (const space of this.#spaces()) if (space.name === name) this.#review(space, directory);
  }

  #review(space: DhtSpace, directory: Directory): void {
    const rivals = new Set<string>();
    for (const { record } of directory.claimsOf(space.name)) {
      if (record.owner !== space.owner && !record.deleted) rivals.add(record.owner);
    }
    const known = this.#known.get(space);
    this.#known.set(space, rivals);
    for (const peer of rivals) {
      if (known?.has(peer)) continue;
      space.grants.refusals.add('claim', { peer, cause: 'another owner claims the name of the space' });
    }
  }
}
