import type { ArgumentCheck } from './argument-checks.js';
import {
  atMost,
  bool,
  checkArguments,
  exchangeArgument,
  expiry,
  integerArgument,
  needs,
  nonNegative,
  oneOf,
  positiveExpiry,
  text,
} from './argument-checks.js';
import { assertEquivalentArguments } from './equivalence.js';
import { BrokerError } from './errors.js';
import type { FieldTable } from './message.js';

const TYPE: ArgumentCheck = {
  name: 'x-queue-type',
  check: oneOf(['classic'], (value) => `"unsupported queue type '${value}'"`),
};

/** In RabbitMQ's order, so that of several invalid arguments the same one is named. */
const CHECKS: readonly ArgumentCheck[] = [
  { name: 'x-expires', check: positiveExpiry },
  { name: 'x-message-ttl', check: expiry },
  { name: 'x-dead-letter-exchange', check: text },
  {
    name: 'x-dead-letter-routing-key',
    check: needs('x-dead-letter-exchange', 'routing_key_but_no_dlx_defined'),
  },
  { name: 'x-max-length', check: nonNegative },
  { name: 'x-max-length-bytes', check: nonNegative },
  { name: 'x-max-priority', check: atMost(255) },
  {
    name: 'x-overflow',
    check: oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], () => 'invalid_overflow'),
  },
  {
    name: 'x-queue-mode',
    check: oneOf(['default', 'lazy'], (value) => `"unsupported queue mode '${value}'"`),
  },
  {
    name: 'x-queue-version',
    check: (value, type, args) =>
      nonNegative(value, type, args) ??
      (Number(value) === 1 || Number(value) === 2 ? undefined : `"unsupported queue version '${value}'"`),
  },
  { name: 'x-single-active-consumer', check: bool },
];

/** What redeclaring compares. RabbitMQ leaves all other arguments out. */
const COMPARED_ARGUMENTS: readonly string[] = [...CHECKS.map(({ name }) => name), 'x-queue-master-locator'];

/** Arguments of other types of queues, which RabbitMQ refuses for classic ones. */
const FOREIGN_ARGUMENTS: ReadonlySet<string> = new Set([
  'x-dead-letter-strategy',
  'x-delivery-limit',
  'x-initial-cluster-size',
  'x-max-age',
  'x-max-in-memory-bytes',
  'x-max-in-memory-length',
  'x-queue-leader-locator',
  'x-quorum-initial-group-size',
  'x-stream-max-segment-size-bytes',
]);

export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';

/** What the arguments of a queue ask for. */
export interface QueueFeatures {
  readonly messageTtlMs: number | undefined;
  /** How long the queue stays without consumers and without anybody who asks for it. */
  readonly unusedTtlMs: number | undefined;
  /** Where messages go that are rejected, expired or dropped; without a routing key, with those they came with. */
  readonly deadLetters: { readonly exchange: string; readonly routingKey: string | undefined } | undefined;
  /** Infinite where there is no limit. */
  readonly maxMessages: number;
  readonly maxBodyBytes: number;
  readonly overflow: Overflow;
  /** The queue has levels 0 to this. */
  readonly maxPriority: number | undefined;
  readonly singleActiveConsumer: boolean;
}

/**
 * `x-queue-mode` and `x-queue-version` are hints without effect; unknown arguments are kept and mean nothing.
 *
 * @throws BrokerError `precondition-failed`, in RabbitMQ's words
 */
export function readArguments(label: string, args: FieldTable): QueueFeatures {
  const exchange = exchangeArgument(label, args, 'x-dead-letter-exchange');
  checkArguments(label, args, [TYPE]);
  checkArguments(label, args, CHECKS);
  for (const name of Object.keys(args)) {
    if (!FOREIGN_ARGUMENTS.has(name)) continue;
    const problem = `invalid arg '${name}' for ${label} of queue type rabbit_classic_queue`;
    throw new BrokerError('precondition-failed', problem);
  }
  return {
    messageTtlMs: integerArgument(args, 'x-message-ttl'),
    unusedTtlMs: integerArgument(args, 'x-expires'),
    deadLetters: exchange === undefined ? undefined : { exchange, routingKey: deadLetterKey(args) },
    maxMessages: integerArgument(args, 'x-max-length') ?? Number.POSITIVE_INFINITY,
    maxBodyBytes: integerArgument(args, 'x-max-length-bytes') ?? Number.POSITIVE_INFINITY,
    overflow: (args['x-overflow'] ?? 'drop-head') as Overflow,
    maxPriority: integerArgument(args, 'x-max-priority'),
    singleActiveConsumer: args['x-single-active-consumer'] === true,
  };
}

/**
 * Redeclaring: what is asked for must be what is there. Where no type is given, that is `classic`.
 *
 * @throws BrokerError `precondition-failed`
 */
export function assertSameArguments(label: string, received: FieldTable, current: FieldTable): void {
  assertEquivalentArguments(label, COMPARED_ARGUMENTS, received, current);
  if (queueType(received) === queueType(current)) return;
  assertEquivalentArguments(label, [TYPE.name], received, current);
}

function queueType(args: FieldTable): unknown {
  return args[TYPE.name] ?? 'classic';
}

function deadLetterKey(args: FieldTable): string | undefined {
  const key = args['x-dead-letter-routing-key'];
  return typeof key === 'string' ? key : undefined;
}
