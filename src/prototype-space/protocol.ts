import type { PointType } from '../overlay/index.js';
import type { Endpoint } from './home-broker.js';

/** See docs/prototype-protocol.md. */
export const PROTOCOL_VERSION = 1;

/** The routing key of requests, which are published to the space's exchange. */
export const TRACKER_KEY = 'tracker';

/** What a member has to tell of its part in a point. */
export interface PointOffer {
  readonly name: string;
  readonly type: PointType;
  /** The point's arguments in the canonical text of the overlay. */
  readonly arguments: string;
  readonly outlet: OutletOffer;
}

/** Where other members' relays find what the member's apps publish to a point. */
export interface OutletOffer {
  readonly number: number;
  readonly exchange: string;
  readonly everything: string;
}

/** Every request names the member it is from, and is counted: an older one than the last is not obeyed. */
interface FromMember {
  readonly member: string;
  readonly sequence: number;
}

export type TrackerRequest = FromMember &
  (
    | {
        readonly request: 'register';
        readonly endpoint: Endpoint;
        /**
         * 32 hexadecimal digits, drawn when the node starts and the same for all its members. A restarted node takes the
         * place that it had before at once; two members of one node do not take each other's.
         */
        readonly instance?: string;
        /** 32 octets in hexadecimal; passwords of relays are made of it, see {@link relayPassword}. */
        readonly relayKey: string;
        readonly points: readonly PointOffer[];
      }
    /** Renews the lease. `relayKey`: another one from now on. */
    | { readonly request: 'renew'; readonly relayKey?: string }
    | { readonly request: 'join'; readonly point: PointOffer }
    /** Leaves a point. */
    | { readonly request: 'leave'; readonly point: string }
    /** Leaves the space. */
    | { readonly request: 'unregister' }
    /** Deletes a point for all; the user needs the permission `configure` for the space's exchange. */
    | { readonly request: 'delete-point'; readonly point: string }
  );

/** Another member in a point, as one member is told of it. */
export interface ParticipantRecord {
  readonly member: string;
  readonly endpoint: Endpoint;
  /** For the user `<member>.<id of the member that is told>`. */
  readonly password: string;
  readonly outlet: OutletOffer;
}

/**
 * - `invalid`: the request is not understood, or has another version
 * - `refused`: the AMQP user may not do this, or the member id is another user's
 * - `conflict`: the point has another type or other arguments
 * - `unknown-member`: the tracker does not know the member: register first
 * - `replayed`: the sequence is not above the last one
 * - `limit`: there is no room
 */
export type TrackerErrorCode = 'invalid' | 'refused' | 'conflict' | 'unknown-member' | 'replayed' | 'limit';

export type TrackerReply =
  | {
      readonly reply: 'ok';
      /** To `register` and `join`: the other participants of each point named. */
      readonly points?: readonly {
        readonly point: string;
        readonly participants: readonly ParticipantRecord[];
      }[];
    }
  | {
      readonly reply: 'error';
      readonly code: TrackerErrorCode;
      readonly text: string;
      /** Of `conflict`: the point, so that whoever registers for several can do so for the others. */
      readonly point?: string;
    };

export type TrackerEvent =
  /** Also for a participant that is known, and has come back with other data. */
  | { readonly event: 'joined'; readonly point: string; readonly participant: ParticipantRecord }
  | { readonly event: 'left'; readonly point: string; readonly member: string }
  /** A member is no member any more; told to all that were in a point with it. */
  | { readonly event: 'gone'; readonly member: string; readonly reason: string }
  /** A member's relay key is another one. */
  | { readonly event: 'password'; readonly member: string; readonly password: string }
  | { readonly event: 'point-deleted'; readonly point: string; readonly reason: string }
  | { readonly event: 'space-deleted'; readonly reason: string }
  /** The member that is told has been dropped, such as for want of permission. */
  | { readonly event: 'dropped'; readonly reason: string };
