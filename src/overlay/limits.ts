/**
 * How deep tables and lists may nest in the arguments of a pattern or a point, the outermost included; deeper
 * is refused.
 */
export const MAX_TABLE_DEPTH = 32;

/** How long the canonical text of a table may be, in UTF-16 code units; a larger table is refused. */
export const MAX_CANONICAL_TEXT_UNITS = 65_536;

/**
 * How many patterns one participant tells of in one point. Above it, its interest is summarised, so it gets
 * more than it asked for.
 */
export const MAX_PATTERNS_PER_PARTICIPANT = 1_000;

/** How many routing keys an interest table remembers the targets of. When they are full, all are forgotten. */
export const MAX_CACHED_ROUTING_KEYS = 1_024;

/** How many separate ranges of sequences are remembered per origin. Above it, the lowest gap counts as seen. */
export const MAX_SEQUENCE_RANGES = 256;

/** How many origins are remembered per point. Above it, the one that was heard least recently is forgotten. */
export const MAX_ORIGINS = 4_096;

/**
 * How many epochs before the present one are remembered per origin. Above it, the oldest is forgotten: a message
 * that has been on its way through that many restarts would count as one of a new epoch.
 */
export const MAX_PAST_EPOCHS = 16;
