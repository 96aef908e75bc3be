import { MAX_NAME_BYTES } from '../limits.js';
import { MAX_PATTERN_BYTES } from './limits.js';
import { isFound } from './matcher.js';
import { parse } from './parser.js';
import type { Program } from './program.js';
import { compile } from './program.js';
import { refusal } from './refusal.js';

/**
 * A regular expression as RabbitMQ applies it to the names of queues and exchanges: PCRE 8's, by octets of UTF-8 and not
 * by characters, found anywhere in the name unless it is anchored; an empty one matches the empty name alone.
 *
 * Names come from clients and cannot stall the node, whatever the expression. Not taken are recursion, callouts, verbs,
 * `\X` and Unicode properties other than general categories.
 */
export class NamePattern {
  readonly #program: Program;

  /** @throws BrokerError `precondition-failed`: it is malformed, too large, or uses what is not supported */
  constructor(source: string) {
    const octets = Buffer.from(source === '' ? '^$' : source);
    if (octets.length > MAX_PATTERN_BYTES) throw refusal(`more than ${MAX_PATTERN_BYTES} octets`);
    const nul = octets.indexOf(0);
    if (nul >= 0) throw refusal('a NUL, which ends it for PCRE', nul);
    this.#program = compile(parse(octets.toString('latin1')));
  }

  /** Whether it is found; not in a name that is longer than any, or where that takes too many steps. */
  matches(name: string): boolean {
    const octets = Buffer.from(name);
    return octets.length <= MAX_NAME_BYTES && isFound(this.#program, octets);
  }
}
