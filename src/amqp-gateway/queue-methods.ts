import type { MethodArguments, MethodName } from '../amqp-codec/index.js';
import { cleanName, createQueueName } from '../broker/index.js';
import type { Channel } from './channel.js';
import type { Handlers } from './methods.js';
import { checkQueueBinding, checkQueueDeclare } from './permission-checks.js';
import { ChannelError } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

export const queueMethods: Handlers<Extract<MethodName, `queue.${string}`>> = {
  'queue.declare': (channel, args) => {
    const { queue: name, passive, noWait, ...spec } = args;
    const { connection } = channel;
    const { virtualHost } = connection;
    if (connection.services.replies.owns(name)) return declareReplyTo(channel, name, noWait);
    const newName = createQueueName();
    if (!passive) checkQueueDeclare(connection, name, newName, spec.arguments);
    const queue = passive
      ? virtualHost.assertQueue(name, connection)
      : virtualHost.declareQueue(name, spec, connection, newName);
    channel.lastQueue = queue.name;
    const { messageCount, consumerCount } = queue;
    return channel.answerKept(undefined, noWait, 'queue.declare-ok', {
      queue: queue.name,
      messageCount,
      consumerCount,
    });
  },
  'queue.declare-ok': unexpectedMethod,
  'queue.bind': (channel, args) => {
    const binding = queueBinding(channel, args);
    checkQueueBinding(channel.connection, binding.queue, binding.exchange);
    const done = channel.connection.virtualHost.bindQueue(binding, channel.connection);
    return channel.answerKept(done, args.noWait, 'queue.bind-ok', {});
  },
  'queue.bind-ok': unexpectedMethod,
  'queue.purge': (channel, { queue, noWait }) => {
    const { virtualHost, authorization } = channel.connection;
    const name = queueName(channel, queue);
    authorization.assert('read', 'queue', name);
    const messageCount = virtualHost.purgeQueue(name, channel.connection);
    return channel.answer(undefined, noWait, 'queue.purge-ok', { messageCount });
  },
  'queue.purge-ok': unexpectedMethod,
  'queue.delete': (channel, { queue, noWait, ...conditions }) => {
    const { connection } = channel;
    const name = queueName(channel, queue);
    connection.authorization.assert('configure', 'queue', cleanName(name));
    const messageCount = connection.virtualHost.deleteQueue(name, conditions, connection);
    return channel.answerKept(undefined, noWait, 'queue.delete-ok', { messageCount });
  },
  'queue.delete-ok': unexpectedMethod,
  'queue.unbind': (channel, args) => {
    const binding = queueBinding(channel, args);
    checkQueueBinding(channel.connection, binding.queue, binding.exchange);
    channel.connection.virtualHost.unbindQueue(binding, channel.connection);
    return channel.answerKept(undefined, false, 'queue.unbind-ok', {});
  },
  'queue.unbind-ok': unexpectedMethod,
};

/** Whatever the declare asks for, it only tells whether somebody awaits replies under this name. */
function declareReplyTo(channel: Channel, name: string, noWait: boolean): undefined {
  const { services, virtualHost } = channel.connection;
  const queue = name.replaceAll(/[\r\n]/g, '');
  if (!services.replies.exists(queue)) {
    throw new ChannelError('not-found', `no queue '${queue}' in vhost '${virtualHost.name}'`);
  }
  channel.lastQueue = queue;
  if (!noWait) channel.reply('queue.declare-ok', { queue, messageCount: 0, consumerCount: 1 });
}

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
