import { canonicalTable } from './canonical.js';
import { DirectTable } from './direct-table.js';
import { SpaceError } from './errors.js';
import type { ExchangeType } from './exchange-type.js';
import { FanoutTable } from './fanout-table.js';
import { HeadersTable, problemWithMatchMode } from './headers-table.js';
import type { Pattern, PointType } from './space.js';
import { TopicTable } from './topic-table.js';

const direct: ExchangeType = {
  name: 'direct',
  readsHeaders: false,
  createTable: <T>() => new DirectTable<T>(),
  problemWith: problemWithArguments,
};

const fanout: ExchangeType = {
  name: 'fanout',
  readsHeaders: false,
  createTable: <T>() => new FanoutTable<T>(),
  problemWith: problemWithArguments,
};

const topic: ExchangeType = {
  name: 'topic',
  readsHeaders: false,
  createTable: <T>() => new TopicTable<T>(),
  problemWith: problemWithArguments,
};

const headers: ExchangeType = {
  name: 'headers',
  readsHeaders: true,
  createTable: <T>() => new HeadersTable<T>(),
  problemWith: (pattern) => problemWithArguments(pattern) ?? problemWithMatchMode(pattern.arguments),
};

/** The four exchange types of AMQP 0-9-1 §3.1.3. */
export const exchangeTypes: readonly ExchangeType[] = [direct, fanout, topic, headers];

/**
 * @throws SpaceError `invalid-argument` for a name that is none of the four, such as one that came over the
 * wire.
 */
export function exchangeType(name: PointType): ExchangeType {
  const found = exchangeTypes.find((type) => type.name === name);
  if (found !== undefined) return found;
  const known = exchangeTypes.map((type) => type.name).join(', ');
  throw new SpaceError('invalid-argument', `exchange type '${name}' is not one of ${known}`);
}

/** Every type tells patterns apart by their arguments, even if it does not match by them. */
function problemWithArguments(pattern: Pattern): string | undefined {
  try {
    canonicalTable(pattern.arguments);
    return undefined;
  } catch (error) {
    if (error instanceof SpaceError) return error.message;
    throw error;
  }
}
