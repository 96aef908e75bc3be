import type { Permits } from '../../src/prototype-space/home-broker.js';
import type {
  PointOffer,
  TrackerEvent,
  TrackerReply,
  TrackerRequest,
} from '../../src/prototype-space/protocol.js';
import { relayPassword } from '../../src/prototype-space/relay-password.js';
import { TrackerState } from '../../src/prototype-space/tracker-state.js';
import type { Ask, Registration } from './tracker-messages.js';
import { hex, offer, registration } from './tracker-messages.js';

export const MEMBER: Permits = { configure: false, write: true, read: true };
export const OWNER: Permits = { configure: true, write: true, read: true };

/** A space whose members are named by one digit, and are told things at the address of that name. */
export class Space {
  state = new TrackerState({ space: 'market', virtualHost: '/' });
  nowMs = 1_000;
  permits = new Map<string, Permits>();
  #sequence = 100;
  /** What members were told, since it was asked last. */
  #told: (readonly [member: string, event: TrackerEvent])[] = [];

  /** By the user of the member's name, or another one. */
  ask(member: string, ask: Ask, options: { user?: string; sequence?: number } = {}): TrackerReply {
    const { user = `user-${member}`, sequence = ++this.#sequence } = options;
    const request = { ...ask, member: hex(member), sequence } as TrackerRequest;
    const permits = this.permits.get(user) ?? MEMBER;
    const { reply, events } = this.state.handle(request, { user, permits, replyTo: member }, this.nowMs);
    this.#told.push(...events.map(({ to, event }) => [to, event] as const));
    return reply;
  }

  register(
    member: string,
    points: readonly PointOffer[] = [],
    more: Partial<Registration> = {},
    user?: string,
  ) {
    const { member: _, sequence, ...rest } = registration(member, points, more);
    return this.ask(member, rest, { ...(user !== undefined && { user }), ...(sequence > 1 && { sequence }) });
  }

  sweep(): void {
    const events = this.state.sweep(this.nowMs, (user) => this.permits.get(user) ?? MEMBER);
    this.#told.push(...events.map(({ to, event }) => [to, event] as const));
  }

  told(): (readonly [member: string, event: TrackerEvent])[] {
    return this.#told.splice(0);
  }

  /** The members that somebody who is in no point would be told for one. */
  participants(point: string, options: Partial<PointOffer> = {}): string[] {
    const { points = [] } = this.register('f', [offer(point, options)]) as {
      points?: { participants: { member: string }[] }[];
    };
    this.ask('f', { request: 'unregister' });
    this.told();
    return (points[0]?.participants ?? []).map(({ member }) => member.replace(/0+$/, ''));
  }

  restarted(): Space {
    const again = new Space();
    again.#sequence = this.#sequence;
    again.state.restore(this.state.snapshot(), again.nowMs);
    return again;
  }
}

export function join(point: PointOffer): Ask {
  return { request: 'join', point };
}

export function recordOf(member: string, told: string, point: PointOffer) {
  const { endpoint, relayKey } = registration(member);
  return {
    member: hex(member),
    endpoint,
    password: relayPassword(relayKey, hex(told)),
    outlet: point.outlet,
  };
}

/** Three members, of which a and b share `bids`, and b and c `mail`. */
export function threeMembers(): Space {
  const space = new Space();
  space.register('a', [offer('bids')]);
  space.register('b', [offer('bids'), offer('mail')]);
  space.register('c', [offer('mail')]);
  space.told();
  return space;
}
