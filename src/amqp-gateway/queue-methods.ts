import type { Channel } from './channel.js';
import type { MethodArguments, MethodName } from './codec/index.js';
import type { Handlers } from './methods.js';
import { ChannelError } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

export const queueMethods: Handlers<Extract<MethodName, `queue.${string}`>> = {
  'queue.declare': (channel, args) => {
    const { queue: name, passive, noWait, ...spec } = args;
    const { connection } = channel;
    const { virtualHost } = connection;
    const queue = passive
      ? virtualHost.queue(name, connection)
      : virtualHost.declareQueue(name, spec, connection);
    channel.lastQueue = queue.name;
    const { messageCount, consumerCount } = queue;
    return channel.answer(undefined, noWait, 'queue.declare-ok', {
      queue: queue.name,
      messageCount,
      consumerCount,
    });
  },
  'queue.declare-ok': unexpectedMethod,
  'queue.bind': (channel, args) => {
    const done = channel.connection.virtualHost.bindQueue(queueBinding(channel, args), channel.connection);
    return channel.answer(done, args.noWait, 'queue.bind-ok', {});
  },
  'queue.bind-ok': unexpectedMethod,
  'queue.purge': (channel, { queue, noWait }) => {
    const messageCount = channel.connection.virtualHost.purgeQueue(
      queueName(channel, queue),
      channel.connection,
    );
    return channel.answer(undefined, noWait, 'queue.purge-ok', { messageCount });
  },
  'queue.purge-ok': unexpectedMethod,
  'queue.delete': (channel, { queue, noWait, ...conditions }) => {
    const { connection } = channel;
    const messageCount = connection.virtualHost.deleteQueue(
      queueName(channel, queue),
      conditions,
      connection,
    );
    return channel.answer(undefined, noWait, 'queue.delete-ok', { messageCount });
  },
  'queue.delete-ok': unexpectedMethod,
  'queue.unbind': (channel, args) => {
    channel.connection.virtualHost.unbindQueue(queueBinding(channel, args), channel.connection);
    return channel.answer(undefined, false, 'queue.unbind-ok', {});
  },
  'queue.unbind-ok': unexpectedMethod,
};

/** AMQP 0-9-1 §1.7.2: an empty name means the queue that was declared last on this channel. */
export function queueName(channel: Channel, name: string): string {
  if (name !== '') return name;
  if (channel.lastQueue === undefined) throw new ChannelError('not-found', 'no previously declared queue');
  return channel.lastQueue;
}

function queueBinding(channel: Channel, args: MethodArguments<'queue.unbind'>) {
  const queue = queueName(channel, args.queue);
  // AMQP 0-9-1 §1.7.2.3: where the queue is left out and the routing key too, its name is the routing key.
  const routingKey = args.queue === '' && args.routingKey === '' ? queue : args.routingKey;
  return { queue, exchange: args.exchange, pattern: { routingKey, arguments: args.arguments } };
}
