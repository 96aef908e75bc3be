// --- joining ---

/** Joining a point, as a whole; then it fails, or is answered with the participants that are linked by then. */
export const JOIN_TIMEOUT_MS = 10_000;

/** From dialling the tracker's broker to being let in. Then: `not-found`, with host and port. */
export const TRACKER_LOGIN_TIMEOUT_MS = 7_000;

/** Seconds: both sides of a connection end it when the other one was silent for twice as long. */
export const HEARTBEAT_SECONDS = 5;

/** How long a tracker may take to answer a request. Then: `not-found`. */
export const REQUEST_TIMEOUT_MS = 5_000;

/** An exchange without a tracker behind it is asked again for this long, as often as this: it may be about to start. */
export const NO_TRACKER_PATIENCE_MS = 2_000;
export const NO_TRACKER_RETRY_MS = 100;

/** The largest answer or event of a tracker. Larger ones are dropped and logged. */
export const MAX_REPLY_BYTES = 16_777_216;

/** How long new interest may take to be bound at all linked participants before it is answered anyway. */
export const SETTLE_TIMEOUT_MS = 2_000;

/** How long leaving waits until the tracker has been told. Then the lease tells. */
export const LEAVE_TIMEOUT_MS = 1_000;

/** Leaving waits until what was published has been sent, while others take some of it within the first of these, up to the second. */
export const DRAIN_STALL_MS = 1_000;
export const DRAIN_LIMIT_MS = 5_000;

/** While it waits for that, it looks so often. */
export const DRAIN_POLL_MS = 10;

/** A connection that failed is dialled again after a random time below this, which doubles up to the cap. */
export const RETRY_FIRST_MS = 100;
export const RETRY_CAP_MS = 5_000;

// --- leases ---

/** How often a member renews its lease. */
export const RENEW_INTERVAL_MS = 10_000;

/** How long a member whom the tracker does not know after it came back has to be heard of again. */
export const GRACE_MS = 30_000;

// --- messages ---

/** Header and body of a message. Larger ones are refused with `too-large` by their sender, and end a link. */
export const MAX_CONTENT_BYTES = 16_777_216 + 261_120;

// --- links: the connections of relays to other members' brokers ---

/** From dialling another member's broker to connection.open-ok. Then it is tried again. */
export const RELAY_LOGIN_TIMEOUT_MS = 10_000;

/** How long the other side may take to answer connection.close, or to take what was sent before; then the socket is destroyed. */
export const RELAY_CLOSE_TIMEOUT_MS = 1_000;

/** How long a broker may leave a request unanswered while it is read from. Then the link is dropped. */
export const RELAY_ANSWER_TIMEOUT_MS = 30_000;

/** The largest frame payload that is taken, and what is agreed to in connection.tune. A larger frame ends the link. */
export const MAX_FRAME_BYTES = 131_072;

/** AMQP 0-9-1 §1.2, frame-min-size. A broker that wants less is not linked to. */
export const MIN_FRAME_BYTES = 4_096;

/** Requests of one channel that wait for their answers: several times the patterns of a point. One more closes the channel. */
export const MAX_PENDING_REQUESTS = 16_384;

/** What a broker has not read yet. More ends the link: the interest in one point takes at most this. */
export const MAX_UNSENT_BYTES = 67_108_864;

/** How much of an announced body is allocated ahead of its octets, beyond as much as has come in. */
export const BODY_AHEAD_BYTES = 262_144;

// --- the tracker ---

/** A member that is not heard of for this long is dropped. */
export const LEASE_MS = 30_000;

/** How often leases and permissions are looked at. */
export const SWEEP_INTERVAL_MS = 1_000;

/** A sweep that comes later than this shows that the tracker stood still, not its members: all leases start anew. */
export const STANDSTILL_MS = 5_000;

/** Members of a space, its points, and the points of one member. What is above is answered with `limit`. */
export const MAX_MEMBERS = 1_024;
export const MAX_POINTS = 4_096;
export const MAX_POINTS_PER_MEMBER = 4_096;

/**
 * What all members of a space tell of their points, as JSON. More is answered with `limit`. No answer and no stored
 * state is larger than twice this.
 */
export const MAX_SPACE_BYTES = 6_291_456;

/** One request. A larger one is answered with `invalid`. */
export const MAX_REQUEST_BYTES = 2_097_152;

/** The stored state. A larger one is none of ours. */
export const MAX_SNAPSHOT_BYTES = 16_777_216;

/** Requests that wait for the tracker, and their octets. Above either the oldest are lost, and their members ask again. */
export const MAX_WAITING_REQUESTS = 10_000;
export const MAX_WAITING_REQUEST_BYTES = 33_554_432;

/** Names in messages: short strings (AMQP 0-9-1 §4.2.5.3). Longer ones are invalid. */
export const MAX_NAME_BYTES = 255;

/** Reasons, and texts of errors. Longer ones are invalid. */
export const MAX_TEXT_BYTES = 4_096;

/** What one AMQP user may ask, at once and per second. Requests above it are ignored. */
export const REQUEST_BURST = 2_000;
export const REQUESTS_PER_SECOND = 500;

/** So many octets of requests, answers and events count like one request more. */
export const OCTETS_PER_REQUEST = 16_384;

/** Users whose requests are counted. One more, and all start with a full allowance. */
export const MAX_COUNTED_USERS = 4_096;

/** Answers and events that the broker has not taken from the tracker. Above it, requests are ignored until it has. */
export const MAX_UNSENT_REPLY_BYTES = 33_554_432;

/** Nobody waits for an answer that is older. */
export const REPLY_EXPIRATION_MS = 10_000;

/** Logging in at the tracker's own node. */
export const HOME_LOGIN_TIMEOUT_MS = 5_000;

/**
 * The tracker's state is stored at most this often, and not again before this many times what it took the last time. What
 * is not stored so long after the end is lost.
 */
export const STATE_WRITE_INTERVAL_MS = 20;
export const STATE_WRITE_SHARE = 10;
export const STATE_FLUSH_TIMEOUT_MS = 2_000;
