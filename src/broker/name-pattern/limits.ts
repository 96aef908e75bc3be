/** Regular expression of a permission. A longer one is refused. */
export const MAX_PATTERN_BYTES = 4_096;

/**
 * Steps of a compiled regular expression: about one per character, counted repeats written out. More are refused. Memory
 * grows with them, 100 octets each.
 */
export const MAX_PATTERN_STEPS = 16_384;

/** Parentheses in parentheses. More are refused. PCRE's own limit, unless it is built with another one. */
export const MAX_NESTING = 250;

/** PCRE's: a count in braces above it is refused. */
export const MAX_COUNT = 65_535;

/** PCRE's: a group with a longer name is refused. */
export const MAX_GROUP_NAME_BYTES = 32;

/**
 * Steps of matching one name, over all positions where a match may begin; what takes more does not match, as beyond
 * PCRE's match limit. They take some 10 ms. Only what cannot be remembered gets there: see the matcher.
 */
export const MAX_MATCH_STEPS = 1_000_000;
