import type { MethodName } from '../src/amqp-codec/index.js';
import { PROTOCOL_HEADER } from '../src/amqp-codec/index.js';
import { frame, GUEST, methodFrame } from '../test/support/amqp-raw-client.js';
import type { Random } from '../test/support/random.js';
import { mutated, octetsOf } from './mutate.js';
import type { Plain, Script, Step } from './script.js';
import { anyTable } from './values.js';
import {
  aliasArguments,
  anyDestination,
  anyExchange,
  anyKey,
  anyQueue,
  bindingArguments,
  CONSUMERS,
  exchangeArguments,
  flag,
  messageProperties,
  QUEUES,
  queueArguments,
} from './vocabulary.js';

export interface Profile {
  readonly connections: number;
  readonly channels: number;
  readonly steps: number;
  /** One step in so many is octets that no client would send; 0: none is. */
  readonly octetsOneIn: number;
}

/** What each method is sent with; others, and those of servers, come as octets only. */
const METHODS: { readonly [N in MethodName]?: (random: Random) => Plain } = {
  'channel.close': () => ({ replyCode: 200, replyText: 'done' }),
  'channel.open': () => ({}),
  'channel.flow': (random) => ({ active: !flag(random, 40) }),
  'exchange.declare': exchangeDeclaration,
  'exchange.delete': (random) => ({
    exchange: anyExchange(random),
    ifUnused: flag(random),
    ...noWait(random),
  }),
  'exchange.bind': exchangeBinding,
  'exchange.unbind': exchangeBinding,
  'queue.declare': queueDeclaration,
  'queue.bind': queueBinding,
  'queue.unbind': (random) => ({ ...queueBinding(random), noWait: false }),
  'queue.purge': (random) => ({ queue: anyQueue(random), ...noWait(random) }),
  'queue.delete': (random) => ({
    queue: anyQueue(random),
    ifUnused: flag(random, 3),
    ifEmpty: flag(random, 3),
    ...noWait(random),
  }),
  'basic.qos': (random) => ({ prefetchCount: random.pick([0, 1, 3, 65_535]), global: flag(random) }),
  'basic.consume': (random) => ({
    queue: flag(random, 20) ? 'amq.rabbitmq.reply-to' : anyQueue(random),
    consumerTag: flag(random, 8) ? random.pick(CONSUMERS) : '',
    noAck: flag(random, 4),
    exclusive: flag(random, 30),
    noLocal: flag(random, 8),
    arguments: flag(random, 4) ? { 'x-priority': random.pick([-1, 0, 5, 10]) } : {},
    ...noWait(random),
  }),
  'basic.ack': (random) => ({ deliveryTag: random.int(30), multiple: flag(random) }),
  'basic.cancel': (random) => ({ consumerTag: random.pick(CONSUMERS), ...noWait(random) }),
  'basic.get': (random) => ({ queue: anyQueue(random), noAck: flag(random) }),
  'basic.recover': (random) => ({ requeue: !flag(random, 40) }),
  'basic.recover-async': () => ({ requeue: true }),
  'confirm.select': noWait,
  'tx.select': () => ({}),
  'tx.commit': () => ({}),
  'tx.rollback': () => ({}),
};

const TYPES = ['direct', 'fanout', 'topic', 'headers'];
const POOL = ['x0', 'x1', 'x2'];
const SPACE = { exchange: 'space', type: 'x-exchangespace', arguments: { implementation: 'memory' } };
const ALIAS = { exchange: 'alias', type: 'x-exchange' };

/** Of older and other versions, and of TLS. */
const OTHER_HEADERS = ['414d515001010009', '414d515000010000', '414d515003010000', '16030100'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

/** How often each of the methods is taken: what makes and moves messages most. */
const WEIGHTS: { readonly [N in MethodName]?: number } = {
  'queue.declare': 6,
  'queue.bind': 4,
  'basic.consume': 5,
  'basic.get': 3,
  'exchange.declare': 4,
  'exchange.bind': 2,
  'confirm.select': 2,
};
const NAMES = (Object.keys(METHODS) as MethodName[]).flatMap((name) =>
  Array<MethodName>(WEIGHTS[name] ?? 1).fill(name),
);

export function anyScript(random: Random, profile: Profile): Script {
  const frameMax = random.pick([4_096, 4_096, 131_072]);
  const steps = Array.from({ length: 1 + random.int(profile.steps) }, () => anyStep(random, profile));
  return { frameMax, steps: [...setting(random, profile), ...steps] };
}

/** Most of what a script does needs queues, exchanges, bindings and consumers. */
function setting(random: Random, profile: Profile): readonly Step[] {
  const start = (name: MethodName, args: Plain): Step => {
    const on = { connection: random.int(profile.connections), channel: 1 + random.int(profile.channels) };
    return { do: 'method', ...on, name, arguments: args };
  };
  const declared = { passive: false, exclusive: false, autoDelete: false };
  return [
    ...QUEUES.map((queue) => start('queue.declare', { ...queueDeclaration(random), ...declared, queue })),
    ...POOL.map((exchange) =>
      start('exchange.declare', { exchange, type: random.pick(TYPES), arguments: exchangeArguments(random) }),
    ),
    start('exchange.declare', SPACE),
    { do: 'wait' },
    ...random.list(1, () => start('exchange.declare', { ...ALIAS, arguments: aliasArguments(random) })),
    { do: 'wait' },
    ...random.list(6, () => start('queue.bind', queueBinding(random))),
    ...random.list(4, () => start('basic.consume', METHODS['basic.consume']?.(random) ?? {})),
    { do: 'wait' },
  ];
}

function anyStep(random: Random, profile: Profile): Step {
  const connection = random.int(profile.connections);
  if (profile.octetsOneIn > 0 && flag(random, profile.octetsOneIn)) {
    return flag(random, 4) ? greeting(random) : nonsense(random, connection);
  }
  const on = { connection, channel: 1 + random.int(profile.channels) };
  switch (random.int(12)) {
    case 0:
    case 1:
      return { do: 'wait' };
    case 2:
    case 3:
    case 4:
      return publishing(random, on);
    case 5:
    case 6: {
      const name = random.pick(['basic.ack', 'basic.nack', 'basic.reject'] as const);
      const flags = { multiple: flag(random, 3), requeue: flag(random) };
      return { do: 'settle', ...on, name, before: random.int(3), ...flags };
    }
    case 7:
      return flag(random, 3)
        ? { do: 'end', connection, how: random.pick(['close', 'reset', 'half'] as const) }
        : methodStep(random, on);
    default:
      return methodStep(random, on);
  }
}

type OnChannel = { readonly connection: number; readonly channel: number };

function methodStep(random: Random, on: OnChannel): Step {
  const name = random.pick(NAMES);
  return { do: 'method', ...on, name, arguments: METHODS[name]?.(random) ?? {} };
}

function publishing(random: Random, on: OnChannel): Step {
  const flags = { mandatory: flag(random, 4), immediate: flag(random, 200) };
  const to = { ...anyDestination(random), ...flags };
  const bodyBytes = random.pick([0, 1, 10, 10, 100, 100, 5_000, 5_000, 200_000]);
  const partBytes = random.pick([1_000, 4_000]);
  return { do: 'publish', ...on, to, properties: messageProperties(random), bodyBytes, partBytes };
}

/** A handshake with some octets wrong, one of its parts missing, or none of these. */
function greeting(random: Random): Step {
  const mechanism = random.pick(['PLAIN', 'AMQPLAIN', 'EXTERNAL', '']);
  const response = random.pick([GUEST, Buffer.alloc(0), octetsOf(random, 20)]);
  const capabilities = { 'basic.nack': true, authentication_failure_close: flag(random) };
  const clientProperties = { ...anyTable(random, true), capabilities };
  const tuning = {
    channelMax: random.pick([0, 1, 2_047, 65_535]),
    frameMax: random.pick([0, 1, 4_096, 131_072, 2 ** 32 - 1]),
    heartbeat: random.pick([0, 1, 65_535]),
  };
  const parts = [
    flag(random, 4) ? random.pick(OTHER_HEADERS) : PROTOCOL_HEADER,
    methodFrame(0, 'connection.start-ok', { clientProperties, mechanism, response }),
    methodFrame(0, 'connection.tune-ok', tuning),
    methodFrame(0, 'connection.open', { virtualHost: random.pick(['/', '', 'missing']) }),
    methodFrame(1, 'channel.open'),
  ].filter(() => !flag(random, 10));
  const octets = Buffer.concat(parts.map((part) => (flag(random, 4) ? mutated(part, random) : part)));
  return { do: 'greet', hex: octets.toString('hex'), pieceBytes: random.pick([1, 7, 65_536]) };
}

/** Frames of any method with some octets wrong, of any type, cut off, or no frames at all. */
function nonsense(random: Random, connection: number): Step {
  const octets = Buffer.concat([anyFrame(random), ...random.list(3, () => anyFrame(random))]);
  const pieceBytes = random.pick([1, 3, 7, 64, 65_536]);
  return { do: 'octets', connection, hex: octets.toString('hex'), pieceBytes };
}

function anyFrame(random: Random): Buffer {
  const channel = random.int(3);
  const name = random.pick(NAMES);
  switch (random.int(8)) {
    case 0:
      return octetsOf(random, random.int(40));
    case 1:
      return frame(random.pick([1, 2, 3, 8]), channel, octetsOf(random, random.int(40)));
    case 2:
      return methodFrame(channel, name, METHODS[name]?.(random) ?? {}).subarray(0, random.int(20));
    case 3:
      return methodFrame(channel, name, METHODS[name]?.(random) ?? {});
    default:
      return mutated(methodFrame(channel, name, METHODS[name]?.(random) ?? {}), random);
  }
}

function exchangeDeclaration(random: Random): Plain {
  const flags = { passive: flag(random, 8), ...noWait(random) };
  switch (random.int(8)) {
    case 0:
      return { ...SPACE, ...flags };
    case 1:
      return { ...ALIAS, arguments: aliasArguments(random), ...flags };
    default:
      return {
        exchange: anyExchange(random),
        type: flag(random, 100) ? 'x-nonsense' : random.pick(TYPES),
        durable: flag(random, 4),
        autoDelete: flag(random, 4),
        internal: flag(random, 20),
        arguments: exchangeArguments(random),
        ...flags,
      };
  }
}

function queueDeclaration(random: Random): Plain {
  const queue = anyQueue(random);
  return {
    queue,
    passive: flag(random, 8),
    durable: flag(random),
    exclusive: flag(random, 20),
    autoDelete: flag(random, 8),
    arguments: queueArguments(random),
    // Without an answer nobody would know the name that the server gave.
    ...(queue === '' ? {} : noWait(random)),
  };
}

function queueBinding(random: Random): Plain {
  const ends = { queue: anyQueue(random), exchange: anyExchange(random) };
  return { ...ends, routingKey: anyKey(random), arguments: bindingArguments(random), ...noWait(random) };
}

function exchangeBinding(random: Random): Plain {
  const ends = { source: anyExchange(random), destination: anyExchange(random) };
  return { ...ends, routingKey: anyKey(random), arguments: bindingArguments(random), ...noWait(random) };
}

function noWait(random: Random): Plain {
  return { noWait: flag(random, 10) };
}
