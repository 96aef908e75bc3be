import { erlangString } from '../amqp-codec/index.js';
import { MAX_EXPIRATION_MS } from './limits.js';

const DECIMAL = /^([+-]?\d+)(.*)$/s;

/** The property `expiration` in milliseconds, or what is wrong with it, as RabbitMQ puts it. */
export function parseExpiration(text: string): number | { readonly problem: string } {
  const [, digits, rest] = DECIMAL.exec(text) ?? [];
  if (digits === undefined) return { problem: 'no_integer' };
  if (rest !== '') return { problem: `{leftover_string,${erlangString(rest ?? '')}}` };
  const value = Number(digits);
  if (value < 0) return { problem: `{value_negative,${BigInt(digits)}}` };
  if (value > MAX_EXPIRATION_MS) return { problem: `{value_too_large,${BigInt(digits)}}` };
  return value;
}
