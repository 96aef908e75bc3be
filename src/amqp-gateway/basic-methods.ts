import { randomBytes } from 'node:crypto';
import type { MethodArguments, MethodName } from '../amqp-codec/index.js';
import { methodFrame } from '../amqp-codec/index.js';
import type { Queue } from '../broker/index.js';
import type { Channel } from './channel.js';
import { consumerPriority } from './consumer-arguments.js';
import type { Delivery, Settlement } from './deliveries.js';
import { DIRECT_REPLY_TO } from './direct-reply-to.js';
import type { ContentMessage } from './message.js';
import type { Handlers } from './methods.js';
import { queueName } from './queue-methods.js';
import { ConnectionError } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

export const basicMethods: Handlers<Extract<MethodName, `basic.${string}`>> = {
  'basic.qos': (channel, { prefetchSize, prefetchCount, global }) => {
    if (prefetchSize !== 0)
      throw new ConnectionError('not-implemented', `prefetch_size!=0 (${prefetchSize})`);
    // Before what there is room for now.
    channel.reply('basic.qos-ok', {});
    if (global) channel.deliveries.limitChannel(prefetchCount);
    else channel.deliveries.limitConsumers(prefetchCount);
  },
  'basic.qos-ok': unexpectedMethod,
  'basic.consume': consume,
  'basic.consume-ok': unexpectedMethod,
  'basic.cancel': (channel, { consumerTag, noWait }) => {
    channel.deliveries.cancel(consumerTag);
    return channel.answer(undefined, noWait, 'basic.cancel-ok', { consumerTag });
  },
  'basic.cancel-ok': unexpectedMethod,
  // Its content follows, so the channel takes it apart before it comes to dispatching.
  'basic.publish': unexpectedMethod,
  'basic.return': unexpectedMethod,
  'basic.deliver': unexpectedMethod,
  'basic.get': get,
  'basic.get-ok': unexpectedMethod,
  'basic.get-empty': unexpectedMethod,
  'basic.ack': (channel, { deliveryTag, multiple }) => {
    settle(channel, channel.deliveries.take(deliveryTag, multiple), 'acknowledge');
  },
  'basic.reject': (channel, { deliveryTag, requeue }) => {
    settle(channel, channel.deliveries.take(deliveryTag, false), requeue ? 'requeue' : 'reject');
  },
  'basic.recover-async': (channel, { requeue }) => {
    assertRequeue(requeue);
    recover(channel);
  },
  'basic.recover': (channel, { requeue }) => {
    assertRequeue(requeue);
    // Before what is delivered again.
    channel.reply('basic.recover-ok', {});
    recover(channel);
  },
  'basic.recover-ok': unexpectedMethod,
  'basic.nack': (channel, { deliveryTag, multiple, requeue }) => {
    settle(channel, channel.deliveries.take(deliveryTag, multiple), requeue ? 'requeue' : 'reject');
  },
};

function consume(channel: Channel, args: MethodArguments<'basic.consume'>): undefined {
  const { connection, deliveries } = channel;
  const { noAck, exclusive, noWait } = args;
  const tag =
    args.consumerTag === '' ? `amq.ctag-${randomBytes(16).toString('base64url')}` : args.consumerTag;
  const name = queueName(channel, args.queue);
  deliveries.assertFree(tag);
  if (name === DIRECT_REPLY_TO) {
    deliveries.consumeReplies(tag, noAck);
    if (!noWait) channel.reply('basic.consume-ok', { consumerTag: tag });
    return;
  }
  connection.authorization.assert('read', 'queue', name);
  const queue = connection.virtualHost.queue(name, connection);
  const label = `queue '${queue.name}' in vhost '${connection.virtualHost.name}'`;
  const priority = consumerPriority(args.arguments, label);
  const consumer = deliveries.consume(queue, { tag, noAck, exclusive, priority });
  channel.answer(undefined, noWait, 'basic.consume-ok', { consumerTag: tag });
  consumer.wake();
}

function get(
  channel: Channel,
  { queue: name, noAck }: MethodArguments<'basic.get'>,
): Promise<void> | undefined {
  const { connection } = channel;
  const queue = queueName(channel, name);
  connection.authorization.assert('read', 'queue', queue);
  return getFrom(connection.virtualHost.queue(queue, connection), noAck, channel);
}

function getFrom(queue: Queue, noAck: boolean, channel: Channel): Promise<void> | undefined {
  const { connection, deliveries, number } = channel;
  const got = deliveries.get(queue, noAck);
  if (got instanceof Promise) {
    // Once it has been read. Whoever closes the channel meanwhile gets nothing, and nothing is taken.
    return got.then(() => (channel.isWaiting ? getFrom(queue, noAck, channel) : undefined));
  }
  if (got === undefined) {
    channel.reply('basic.get-empty', {});
    return undefined;
  }
  const { exchange, routingKey } = got.entry.message;
  const fields = { deliveryTag: got.tag, redelivered: got.entry.redelivered, exchange, routingKey };
  const frame = methodFrame(number, 'basic.get-ok', { ...fields, messageCount: queue.messageCount });
  connection.output.content(frame, number, got.entry.message as ContentMessage);
  return undefined;
}

/** On a transactional channel only the commit makes it so. */
function settle(channel: Channel, deliveries: readonly Delivery[], settlement: Settlement): void {
  const { transaction } = channel.publishing;
  if (transaction === undefined) channel.deliveries.settle(deliveries, settlement);
  else transaction.addSettlement({ deliveries, settlement });
}

function recover({ deliveries }: Channel): void {
  deliveries.settle(deliveries.takeAll(), 'requeue');
}

/** RabbitMQ: redelivery to the same consumer is not offered. */
function assertRequeue(requeue: boolean): void {
  if (!requeue) throw new ConnectionError('not-implemented', 'requeue=false');
}
