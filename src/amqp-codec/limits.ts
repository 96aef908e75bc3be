/** AMQP 0-9-1 §4.2.5.3: the length of a short string is one octet. Longer ones are refused on encoding, never cut. */
export const MAX_SHORT_STRING_BYTES = 255;

/** How deep tables and arrays may nest in a field table, itself included; deeper ones are refused, both ways. */
export const MAX_TABLE_DEPTH = 32;

/** How many values one field table may hold, nested ones included; more are refused, both ways. */
export const MAX_TABLE_VALUES = 16_384;

/** The largest payload that is encoded; a larger one is refused. Frames are smaller: peers tune frame-max below it. */
export const MAX_ENCODED_BYTES = 1_048_576;

/** How many short strings are remembered, so that equal ones need no new string. A power of two; the latest wins a slot. */
export const TEXT_CACHE_SLOTS = 4096;

/** Longer short strings are not remembered. */
export const CACHED_TEXT_BYTES = 64;

/** What the buffer for a frame that arrives in pieces starts with; it doubles from there up to the frame's size. */
export const PARTIAL_FRAME_BYTES = 4096;
