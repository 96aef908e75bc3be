import { SpaceError } from '../overlay/index.js';
import type { Permits } from './home-broker.js';
import { MAX_MEMBERS, MAX_POINTS, MAX_POINTS_PER_MEMBER, MAX_SPACE_BYTES } from './limits.js';
import type { PointOffer, TrackerErrorCode, TrackerReply, TrackerRequest } from './protocol.js';
import type { Member, Registration, TrackerRegistry } from './tracker-registry.js';
import { offerBytes } from './tracker-registry.js';

type Refusal = Extract<TrackerReply, { readonly reply: 'error' }>;

/** Longer texts are cut: the name of an argument, which stands in some, is bounded by the request only. */
const MAX_TEXT_UNITS = 1_024;

export function refusal(code: TrackerErrorCode, text: string): Refusal {
  if (text.length <= MAX_TEXT_UNITS) return { reply: 'error', code, text };
  const cut = text.slice(0, MAX_TEXT_UNITS).replace(/[\uD800-\uDBFF]$/, '');
  return { reply: 'error', code, text: `${cut}…` };
}

/** Why a request is refused, if it is. Changes nothing. */
export class TrackerChecks {
  readonly #space: string;
  readonly #virtualHost: string;
  readonly #registry: TrackerRegistry;

  constructor(space: string, virtualHost: string, registry: TrackerRegistry) {
    this.#space = space;
    this.#virtualHost = virtualHost;
    this.#registry = registry;
  }

  /** Being in a space takes write and read permission for its exchange. */
  missingPermission(user: string, permits: Permits): string | undefined {
    if (!permits.write) return this.noPermission(user, 'write');
    return permits.read ? undefined : this.noPermission(user, 'read');
  }

  noPermission(user: string, permission: keyof Permits): string {
    const where = `exchange '${this.#space}' in vhost '${this.#virtualHost}'`;
    return `user '${user}' has no ${permission} permission for ${where}`;
  }

  /** A request that the member's user did not make, or did not make now. */
  notFrom(member: Member, { sequence }: TrackerRequest, user: string): Refusal | undefined {
    if (member.user !== user) return refusal('refused', `member '${member.id}' is another user's`);
    if (sequence > member.sequence) return undefined;
    return refusal('replayed', `field 'sequence': expected more than ${member.sequence}, found ${sequence}`);
  }

  /** `replaced`: members that go when this one registers. */
  registration(
    { endpoint, points }: Registration,
    known: Member | undefined,
    replaced: readonly Member[],
  ): Refusal | undefined {
    const without = known === undefined ? replaced : [...replaced, known];
    const conflict = this.#conflict(points, without);
    if (conflict !== undefined) return conflict;
    if (known === undefined && this.#registry.memberCount - replaced.length >= MAX_MEMBERS) {
      return refusal('limit', `space '${this.#space}' has ${MAX_MEMBERS} members, and room for no more`);
    }
    if (points.length > MAX_POINTS_PER_MEMBER) return tooManyPoints();
    let bytes = 0;
    for (const member of without) bytes -= member.bytes;
    for (const offer of points) bytes += offerBytes(endpoint, offer);
    return this.#lackOfRoom(bytes, points);
  }

  join(member: Member, offer: PointOffer): Refusal | undefined {
    const conflict = this.#conflict([offer], [member]);
    if (conflict !== undefined) return conflict;
    const before = member.offers.get(offer.name);
    if (before === undefined && member.offers.size >= MAX_POINTS_PER_MEMBER) return tooManyPoints();
    const freed = before === undefined ? 0 : offerBytes(member.endpoint, before);
    return this.#lackOfRoom(offerBytes(member.endpoint, offer) - freed, [offer]);
  }

  #conflict(offers: readonly PointOffer[], without: readonly Member[]): Refusal | undefined {
    for (const offer of offers) {
      try {
        this.#registry.assertFits(this.#space, offer, without);
      } catch (error) {
        if (!(error instanceof SpaceError)) throw error;
        return { ...refusal('conflict', error.message), point: offer.name };
      }
    }
    return undefined;
  }

  #lackOfRoom(bytes: number, offers: readonly PointOffer[]): Refusal | undefined {
    const added = offers.filter(({ name }) => !this.#registry.hasPoint(name)).length;
    if (added > 0 && this.#registry.pointCount + added > MAX_POINTS) {
      return refusal('limit', `space '${this.#space}' has room for ${MAX_POINTS} points`);
    }
    // Who needs less than before gets on with it, full or not.
    if (bytes <= 0 || this.#registry.bytes + bytes <= MAX_SPACE_BYTES) return undefined;
    const limit = `${MAX_SPACE_BYTES} octets of JSON`;
    return refusal(
      'limit',
      `space '${this.#space}' has room for ${limit} of what members tell of their points`,
    );
  }
}

function tooManyPoints(): Refusal {
  return refusal('limit', `a member can be in at most ${MAX_POINTS_PER_MEMBER} points`);
}
