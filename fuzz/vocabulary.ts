import type { Random } from '../test/support/random.js';
import type { Plain } from './script.js';
import { anyTable, anyValue } from './values.js';

/** The names that scripts use: few, so that their steps meet. */
export const QUEUES = ['q0', 'q1', 'q2', 'q3'] as const;
const EXCHANGES = ['x0', 'x1', 'x2', 'x3', 'alias', 'space'] as const;
/** Queues and exchanges of this name are used before they are declared, if they ever are. */
const MISSING = 'missing';
/** All that a script may leave behind, but for what the server names. */
export const LEFT_QUEUES: readonly string[] = [...QUEUES, MISSING];
export const LEFT_EXCHANGES: readonly string[] = [...EXCHANGES, MISSING];
const PREDECLARED = ['', 'amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match'];
const KEYS = ['', 'q0', 'q1', 'q2', 'a', 'a.b', 'a.b.c', '#', '*.b', 'a.#', 'k'.repeat(255)];
export const CONSUMERS = ['c0', 'c1', 'c2'] as const;
const DURATIONS_MS = [0, 1, 20, 60_000, 60_000, 60_000];
/** One value in so many is of a kind that its argument does not take. */
const WRONG_ONE_IN = 50;

export function flag(random: Random, oneIn = 2): boolean {
  return random.int(oneIn) === 0;
}

export function anyQueue(random: Random): string {
  return flag(random, 40)
    ? random.pick(['', 'amq.rabbitmq.reply-to', MISSING, 'amq.q'])
    : random.pick(QUEUES);
}

export function anyExchange(random: Random): string {
  return flag(random, 30) ? random.pick([...PREDECLARED, MISSING]) : random.pick(EXCHANGES);
}

/** Half of all messages go straight to a queue. */
export function anyDestination(random: Random): Plain {
  if (flag(random)) return { exchange: '', routingKey: random.pick(QUEUES) };
  return {
    exchange: flag(random, 4) ? random.pick(PREDECLARED) : anyExchange(random),
    routingKey: anyKey(random),
  };
}

export function anyKey(random: Random): string {
  return random.pick(KEYS);
}

export function queueArguments(random: Random): Plain {
  return some(random, 6, {
    'x-message-ttl': () => random.pick(DURATIONS_MS),
    'x-expires': () => random.pick([10, 60_000, 60_000]),
    'x-max-length': () => random.pick([0, 1, 3, 100]),
    'x-max-length-bytes': () => random.int(200),
    'x-overflow': () => random.pick(['drop-head', 'reject-publish', 'reject-publish-dlx']),
    'x-dead-letter-exchange': () => random.pick(['', '', ...EXCHANGES, 'amq.fanout', MISSING]),
    'x-dead-letter-routing-key': () => random.pick(QUEUES),
    'x-max-priority': () => random.pick([1, 3, 10, 255]),
    'x-single-active-consumer': () => flag(random),
    'x-queue-type': () => (flag(random, 20) ? random.pick(['quorum', 'stream']) : 'classic'),
    'x-queue-mode': () => random.pick(['lazy', 'default']),
    'x-unknown': () => anyValue(random, true),
  });
}

export function exchangeArguments(random: Random): Plain {
  return some(random, 4, {
    'alternate-exchange': () => random.pick([...EXCHANGES, 'amq.fanout', MISSING]),
    'x-unknown': () => anyValue(random, true),
  });
}

export function bindingArguments(random: Random): Plain {
  return some(random, 2, {
    'x-match': () => random.pick(['all', 'any', 'all-with-x', 'any-with-x']),
    a: () => anyValue(random, true),
    'x-b': () => random.int(3),
  });
}

export function messageProperties(random: Random): Plain {
  const properties = valid(random, 4, {
    contentType: () => 'text/plain',
    deliveryMode: () => random.pick([1, 2, 2, 2, 0, 255]),
    priority: () => random.pick([0, 1, 3, 200]),
    correlationId: () => 'k'.repeat(255),
    replyTo: () => (flag(random, 20) ? 'amq.rabbitmq.reply-to' : 'q0'),
    expiration: () =>
      flag(random, 20)
        ? random.pick(['-1', 'soon', '99999999999999999999'])
        : String(random.pick(DURATIONS_MS)),
    messageId: () => 'm',
    userId: () => (flag(random, 20) ? 'somebody' : 'guest'),
  });
  return flag(random) ? { ...properties, headers: headers(random) } : properties;
}

/** An alias joins a point of a space of the implementation `memory`. */
export function aliasArguments(random: Random): Plain {
  return {
    exchangespace: { implementation: 'memory', space: flag(random, 8) ? MISSING : 'space' },
    exchangename: random.pick(['p0', 'p1']),
    exchangetype: random.pick(['direct', 'fanout', 'topic', 'headers']),
  };
}

function headers(random: Random): Plain {
  const known = some(random, 4, {
    CC: () => random.list(3, () => anyKey(random)),
    BCC: () => random.list(3, () => anyKey(random)),
    'x-death': () =>
      random.pick([[], [{ queue: 'q0', reason: 'expired', count: 2 }], [{ queue: 7 }], 'none']),
    a: () => anyValue(random, true),
    'x-b': () => random.int(3),
  });
  return flag(random, 4) ? { ...known, ...anyTable(random, true) } : known;
}

type Values = { readonly [name: string]: () => unknown };

/** Each of these with a probability of one in so many, and now and then with a value that it does not take. */
function some(random: Random, oneIn: number, values: Values): Plain {
  const chosen = Object.entries(valid(random, oneIn, values));
  return Object.fromEntries(
    chosen.map(([name, value]) => [name, flag(random, WRONG_ONE_IN) ? anyValue(random, true) : value]),
  );
}

function valid(random: Random, oneIn: number, values: Values): Plain {
  const chosen = Object.entries(values).filter(() => flag(random, oneIn));
  return Object.fromEntries(chosen.map(([name, value]) => [name, value()]));
}
