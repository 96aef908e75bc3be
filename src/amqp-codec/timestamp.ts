import { CodecError } from './errors.js';

/** The last moment that a Date can hold. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** AMQP 0-9-1 §4.2.5.4: seconds since 1970. Those beyond what a Date can hold become the last one it can. */
export function dateOf(seconds: number): Date {
  return new Date(Math.min(seconds * 1000, MAX_DATE_MS));
}

/** The reverse; a fraction of a second is dropped. */
export function secondsOf(date: Date): number {
  const seconds = Math.floor(date.getTime() / 1000);
  if (seconds >= 0) return seconds;
  throw new CodecError('unencodable', 'no valid date, or before 1970');
}
