/** The version of everything below: keys, values, marker. A store of a higher one is refused. */
export const FORMAT_VERSION = 1;

/** Contents of at most so many octets lie in their queue entry; larger ones lie once for all queues that have them. */
export const INLINE_BYTES = 4_096;

/**
 * Octets of content that are asked for and not written yet. Above it publishers are asked to pause until less than half
 * of it is left.
 */
export const MAX_UNWRITTEN_BYTES = 67_108_864;

/** Keys and values of a batch are laid out in pieces of this size, the larger the more there are; longer ones alone. */
export const MIN_SLAB_BYTES = 4_096;
export const MAX_SLAB_BYTES = 262_144;

/** What LevelDB gathers in memory, and in one log file, before it writes a table. */
export const WRITE_BUFFER_BYTES = 8_388_608;

/** Tables that are open at a time, of 2 MiB each; they are mapped into memory. The least that LevelDB takes. */
export const MAX_OPEN_FILES = 74;

/** A batch that failed is tried again after this time, then after twice that, up to the limit; for ever. */
export const MIN_RETRY_MS = 50;
export const MAX_RETRY_MS = 2_000;

/** How often the free space of the disk is looked at. */
export const DISK_CHECK_INTERVAL_MS = 1_000;

/** Entries read from the database at once. */
export const READ_ENTRIES = 256;

/** Keys of a cleared or removed queue that are deleted with one group. */
export const SWEEP_KEYS = 4_096;
