/** Account of one held message beside its bytes, an upper estimate: its object, its strings, its buffer's object. */
export const MESSAGE_OVERHEAD_BYTES = 512;

/** Account of one message in one queue: the entry and its slot. */
export const ENTRY_OVERHEAD_BYTES = 96;

/** A full account is low again below this part of its limits, so that it doesn't flutter. */
export const LOW_MARK_RATIO = 0.9;

/** Entries per chunk of a queue: what an empty queue can keep allocated, in slots of 8 bytes. */
export const CHUNK_ENTRIES = 512;

/**
 * What the cached routes of one virtual host may weigh, each 1 and its number of queues; above it all are forgotten.
 * A route and its key of at most 255 bytes take less than 1 KiB.
 */
export const MAX_CACHED_ROUTE_WEIGHT = 65_536;

/** Per virtual host. A declare above it is refused. */
export const MAX_QUEUES = 100_000;

/** Per virtual host, those predeclared included. A declare above it is refused. */
export const MAX_EXCHANGES = 100_000;

/** Per virtual host. A bind above it is refused. */
export const MAX_BINDINGS = 500_000;

/** Per queue. A consume above it is refused. */
export const MAX_CONSUMERS = 100_000;

/** AMQP 0-9-1 §4.2.5.3: what a short string holds. Longer names of users and virtual hosts are refused, too. */
export const MAX_NAME_BYTES = 255;

/** One more is refused. */
export const MAX_VIRTUAL_HOSTS = 10_000;

/** One more is refused. */
export const MAX_USERS = 100_000;

/** Of one user. More are refused. */
export const MAX_TAGS = 32;

/** A longer one is refused, at login as well: it would be hashed for nothing. */
export const MAX_PASSWORD_BYTES = 1_024;

/** Hashing takes a fifth of a second of a processor and 16 MiB each; further ones wait. */
export const MAX_CONCURRENT_HASHES = 2;

/** Passwords that wait to be hashed; further logins are refused. They would time out: these take 13 s. */
export const MAX_WAITING_HASHES = 128;

/** Decided names remembered per user and virtual host; above it all are forgotten. */
export const MAX_CACHED_DECISIONS = 4_096;

/** Of a durable queue, ready in memory; what comes beyond is only in the store until it is read back. */
export const QUEUE_MEMORY_MESSAGES = 4_096;

/** The same in octets of bodies. */
export const QUEUE_MEMORY_BYTES = 8 * 1024 * 1024;

/** The same in messages while the node's memory is tight. */
export const QUEUE_TIGHT_MEMORY_MESSAGES = 64;

/** Memory is tight above this part of its limits: durable queues then leave more to the store. */
export const TIGHT_RATIO = 0.5;

/** What a durable queue reads from the store at a time; it reads the next when less than half of this is ready. */
export const PAGE_MESSAGES = 1_024;

/** The same in octets of content. A longer message is read alone. */
export const PAGE_BYTES = 1024 * 1024;

/** Expired messages that a queue drops at a time when its timer rings; the rest follows in the next turn of the loop. */
export const EXPIRED_PER_TURN = 1_000;

/** setTimeout takes no longer delays; who waits longer is woken in between. */
export const MAX_TIMER_DELAY_MS = 2 ** 31 - 1;
