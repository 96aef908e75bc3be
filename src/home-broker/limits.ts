/** Of what was published to an outlet, in octets: so often its queues are looked at. */
export const CHECK_BYTES = 256 * 1024;

/**
 * What may wait in one queue of an outlet, in octets; with more, publishers are asked to pause until it is below half of
 * this. What they publish all the same is taken in, so a queue can hold this, CHECK_BYTES and one message, and what its
 * publishers had sent before they heard of it.
 */
export const OUTLET_HIGH_BYTES = 8 * 1024 * 1024;

/**
 * How long such a queue may stay without anything leaving it. Then what waits is dropped, and so is whatever makes it as
 * full again; nobody pauses for it until something leaves it.
 */
export const STALL_MS = 5_000;

/** While publishers pause, the queues are looked at so often. Half of a queue takes longer to send than this. */
export const PAUSE_POLL_MS = 10;

/** What a waiting message counts beside its octets. */
export const MESSAGE_OVERHEAD_BYTES = 512;

/** Per relay and outlet: one in use, and those of broken connections that were not noticed yet. One more is refused. */
export const MAX_QUEUES_PER_RELAY = 4;

/** Per queue: twice what a participant tells of at most, since it may bind before it unbinds. One more is refused. */
export const MAX_BINDINGS_PER_QUEUE = 2_048;
