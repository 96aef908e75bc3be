import type { Definitions } from './definitions.js';

/** The space that the points are in. */
export interface DesertedHost {
  /** Whether a member, this node included, takes part in the point. */
  hasParticipant(point: string): boolean;
  /** `isFirst`: whether this node is the one to act where one member has to. */
  readonly members: { readonly isFirst: boolean };
}

/** Points that the last participant known has left, and nobody has closed as far as this node knows. */
export class DesertedPoints {
  readonly #space: DesertedHost;
  readonly #definitions: Definitions;
  readonly #names = new Set<string>();

  constructor(space: DesertedHost, definitions: Definitions) {
    this.#space = space;
    this.#definitions = definitions;
  }

  /** The last participant may have left without seeing that it was the last. */
  left(points: readonly string[]): void {
    for (const name of points) {
      if (this.#definitions.isOpen(name) && !this.#space.hasParticipant(name)) this.#names.add(name);
    }
  }

  closed(point: string): void {
    this.#names.delete(point);
  }

  /** One member closes them; when all have heard who left, as that may be the one. */
  close(): void {
    if (!this.#space.members.isFirst) return;
    for (const name of this.#names) {
      if (!this.#space.hasParticipant(name)) void this.#definitions.release(name, true);
    }
    this.#names.clear();
  }
}
