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
