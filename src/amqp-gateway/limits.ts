/** Sockets served at one time. Further ones are closed as soon as they are accepted, and the log says so. */
export const MAX_CONNECTIONS = 16_384;

/** From the first octet of a client to its connection.open; then the socket is closed without a word. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** How long a client keeps waiting for the end of its socket when its login was refused; RabbitMQ's three seconds. */
export const REFUSED_LOGIN_MS = 3_000;

/** Sockets that wait so at one time. Further ones are ended at once. */
export const MAX_REFUSED_CLIENTS = 1_024;

/**
 * How long a socket may be silent before TCP asks whether the other side is still there, ten times a second apart. It
 * ends half-open sockets of clients that want no heartbeats.
 */
export const KEEP_ALIVE_IDLE_MS = 60_000;

/** Payload of a frame before connection.tune: frame-min-size, as in RabbitMQ. Above it: FRAME_ERROR. */
export const MAX_HANDSHAKE_FRAME_BYTES = 4_096;

/** How long a client may take to answer connection.close; then its socket is destroyed. */
export const CLOSE_TIMEOUT_MS = 5_000;

/** What connection.tune proposes, and the most that is agreed to; a client that insists on more gets NOT_ALLOWED. */
export const FRAME_MAX_BYTES = 131_072;

/** AMQP 0-9-1 §1.2, frame-min-size as RabbitMQ has it. A client that wants less gets NOT_ALLOWED. */
export const FRAME_MIN_BYTES = 4_096;

/** Channels per connection, as proposed in connection.tune. One more: NOT_ALLOWED. */
export const CHANNEL_MAX = 2_047;

/** What connection.tune proposes; the client's answer counts. */
export const HEARTBEAT_SECONDS = 60;

/** Consumers per channel. One more: NOT_ALLOWED, as with RabbitMQ's consumer_max_per_channel. */
export const MAX_CONSUMERS_PER_CHANNEL = 4_096;

/** Deliveries per channel that wait for their acknowledgement. Then its consumers wait; basic.get: PRECONDITION_FAILED. */
export const MAX_UNACKNOWLEDGED_PER_CHANNEL = 1_000_000;

/** The largest body unless the node sets another. A header that announces more closes the channel with CONTENT_TOO_LARGE. */
export const DEFAULT_MAX_BODY_BYTES = 16_777_216;

/** The longest `expiration` of a message: RabbitMQ's ten years of 365 days. Above it: PRECONDITION_FAILED. */
export const MAX_EXPIRATION_MS = 315_360_000_000;

/** How much of an announced body is allocated ahead of its octets, beyond as much as has come in. */
export const BODY_AHEAD_BYTES = 262_144;

/** What one tx transaction may hold back. Beyond either: PRECONDITION_FAILED, and nothing of it happens. */
export const MAX_TRANSACTION_BYTES = 67_108_864;
export const MAX_TRANSACTION_OPERATIONS = 100_000;

/** Frames of a connection kept while a request on their channel is being answered; then its socket is not read. */
export const MAX_HELD_BYTES = 1_048_576;

/** What a frame that is kept costs beside its payload: the objects around it. */
export const HELD_FRAME_OVERHEAD_BYTES = 128;

/** Output written to a socket at once, before the turn of the loop is over. */
export const FLUSH_BYTES = 262_144;

/** Output that a client has not taken yet. From here on its consumers get nothing, until half of it has left. */
export const MAX_CONSUMER_BACKLOG_BYTES = 1_048_576;

/** As above, and no more requests are read from it either: those make the rest of the output. */
export const MAX_BACKLOG_BYTES = 8_388_608;

/** Output is gathered in slabs of this size; one connection holds slabs only while it has output to send. */
export const SLAB_BYTES = 65_536;

/** Slabs kept for reuse, all connections together. */
export const MAX_SPARE_SLABS = 64;

/** Bodies of at least this size are sent from where they lie; smaller ones are copied into a slab. */
export const BY_REFERENCE_BYTES = 16_384;

/** A restored space or alias is tried again after a random time below this, which doubles up to the cap. */
export const RETRY_FIRST_MS = 1000;
export const RETRY_CAP_MS = 30_000;
