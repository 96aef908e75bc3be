import { RE2JS } from 're2js';
import { BrokerError } from './errors.js';
import { MAX_PATTERN_BYTES, MAX_PATTERN_STEPS } from './limits.js';

/**
 * A regular expression as RabbitMQ applies it to the names of queues and exchanges: found anywhere in the name unless it
 * is anchored, and an empty one matches the empty name alone.
 *
 * Names come from clients and must not be able to stall the node, whatever the expression: this is RE2, whose time is
 * linear in the name. The cost is that look-around and back references are refused, which RabbitMQ's PCRE knows.
 */
export class NamePattern {
  readonly #compiled: RE2JS;

  /** @throws BrokerError `precondition-failed`: it is malformed, too large, or uses what is not supported */
  constructor(source: string) {
    if (Buffer.byteLength(source) > MAX_PATTERN_BYTES) throw refusal(`more than ${MAX_PATTERN_BYTES} octets`);
    this.#compiled = compile(source === '' ? '^$' : source);
    if (this.#compiled.programSize() > MAX_PATTERN_STEPS) {
      throw refusal(`${this.#compiled.programSize()} steps, more than ${MAX_PATTERN_STEPS}`);
    }
  }

  matches(name: string): boolean {
    return this.#compiled.test(name);
  }
}

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (cause) {
    throw refusal(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function refusal(problem: string, cause?: unknown): BrokerError {
  return new BrokerError('precondition-failed', `regular expression: ${problem}`, { cause });
}
