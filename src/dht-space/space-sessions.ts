import type { Link } from './link.js';
import type { LinkSession } from './link-session.js';
import type { Links } from './links.js';
import { spaceIdToBytes } from './records.js';

const NO_BYTES = new Uint8Array(0);

/** Point records and the manifest, as signed. */
export interface ToldDefinitions {
  readonly points?: readonly Uint8Array[];
  readonly manifest?: Uint8Array | undefined;
}

/** The sessions in which other members are told about a space. */
export class SpaceSessions implements Iterable<LinkSession> {
  readonly #spaceId: string;
  readonly #links: Links;

  constructor(spaceId: string, links: Links) {
    this.#spaceId = spaceId;
    this.#links = links;
  }

  *[Symbol.iterator](): Iterator<LinkSession> {
    for (const { session } of this.#links) if (session?.told.has(this.#spaceId)) yield session;
  }

  /** The session in which all about the space is to be told now; undefined where there is none, or that was done. */
  begin({ session }: Link): LinkSession | undefined {
    if (session === undefined || session.told.has(this.#spaceId)) return undefined;
    session.told.add(this.#spaceId);
    return session;
  }

  tell(session: LinkSession, { points = [], manifest = NO_BYTES }: ToldDefinitions): void {
    session.control.send({
      definitions: { spaceId: spaceIdToBytes(this.#spaceId), points: [...points], manifest },
    });
  }

  tellAll(definitions: ToldDefinitions): void {
    for (const session of this) this.tell(session, definitions);
  }
}
