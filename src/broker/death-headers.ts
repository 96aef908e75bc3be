import { fieldKey } from './field-value.js';
import type { FieldTable, Message } from './message.js';

/** Why a message became a dead letter, as RabbitMQ names it. */
export type DeathReason = 'rejected' | 'expired' | 'maxlen';

export interface Death {
  readonly queue: string;
  readonly reason: DeathReason;
  /** In milliseconds since 1970. */
  readonly timeMs: number;
}

/**
 * The headers of a dead letter: RabbitMQ's `x-death` with one entry for each queue and reason, this death's first, and
 * what the first death was. `newKey`: it is routed by a key of the queue's, so other keys mean nothing any more.
 */
export function deathHeaders(message: Message, death: Death, newKey: boolean): FieldTable {
  const headers = message.headers();
  const earlier = headers['x-death'];
  const result: Record<string, unknown> = { ...headers };
  if (newKey) delete result.CC;
  if (earlier === undefined) {
    result['x-first-death-reason'] = death.reason;
    result['x-first-death-queue'] = death.queue;
    result['x-first-death-exchange'] = message.exchange;
  }
  const deaths = Array.isArray(earlier) ? grouped(earlier.filter(isTable)) : [];
  const index = deaths.findIndex((other) => isSame(other, death.queue, death.reason));
  const [same] = index < 0 ? [] : deaths.splice(index, 1);
  const latest = same === undefined ? firstTime(message, death) : { ...same, count: countOf(same) + 1n };
  result['x-death'] = [earlier === undefined ? latest : sorted(latest), ...deaths];
  return result;
}

/**
 * Whether a message would come to this queue again without having been rejected since it was there (RabbitMQ's rule
 * against dead letters that go round for ever).
 */
export function goesRound(headers: FieldTable, queue: string): boolean {
  const deaths = headers['x-death'];
  if (!Array.isArray(deaths)) return false;
  for (const death of deaths.filter(isTable)) {
    if (death.reason === 'rejected') return false;
    if (death.queue === queue) return true;
  }
  return false;
}

function firstTime(message: Message, { queue, reason, timeMs }: Death): FieldTable {
  const { CC } = message.headers();
  const copies = Array.isArray(CC) ? CC.filter((key) => typeof key === 'string') : [];
  const { expirationMs } = message;
  return {
    count: 1n,
    reason,
    queue,
    time: new Date(Math.floor(timeMs / 1_000) * 1_000),
    exchange: message.exchange,
    'routing-keys': [message.routingKey, ...copies],
    ...(expirationMs !== undefined && { 'original-expiration': String(expirationMs) }),
  };
}

/**
 * As RabbitMQ groups what is there: of entries with the same queue and reason the first holds, and their number is its
 * count where it has none. Where there are several entries, this turns their order round, which clients can see.
 */
function grouped(deaths: readonly FieldTable[]): FieldTable[] {
  if (deaths.length < 2) return [...deaths];
  const groups = new Map<string, { readonly first: FieldTable; size: bigint }>();
  for (const first of deaths) {
    const key = `${fieldKey(first.queue)} ${fieldKey(first.reason)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { first, size: 1n });
    else group.size++;
  }
  const counted = [...groups.values()].map(({ first, size }) => {
    // The very objects where nothing changes: they keep the types that they have on the wire.
    return first.count === undefined ? { count: size, ...first } : first;
  });
  return counted.reverse();
}

/** RabbitMQ's order of fields in a death that is not the first. */
function sorted(table: FieldTable): FieldTable {
  return Object.fromEntries(Object.entries(table).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function isSame(death: FieldTable, queue: unknown, reason: unknown): boolean {
  return death.queue === queue && death.reason === reason;
}

/** A bigint goes out as int64, which RabbitMQ's counts are. */
function countOf({ count }: FieldTable): bigint {
  return typeof count === 'bigint' || Number.isSafeInteger(count) ? BigInt(count as bigint | number) : 0n;
}

function isTable(value: unknown): value is FieldTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
