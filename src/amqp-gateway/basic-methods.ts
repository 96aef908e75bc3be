import { randomBytes } from 'node:crypto';
import type { Channel } from './channel.js';
import type { FieldTable, MethodArguments, MethodName } from './codec/index.js';
import type { Delivery, Settlement } from './deliveries.js';
import { methodFrame } from './frames.js';
import type { ContentMessage } from './message.js';
import type { Handlers } from './methods.js';
import { queueName } from './queue-methods.js';
import { ChannelError, ConnectionError } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

export const basicMethods: Handlers<Extract<MethodName, `basic.${string}`>> = {
  'basic.qos': (channel, { prefetchSize, prefetchCount, global }) => {
    if (prefetchSize !== 0)
      throw new ConnectionError('not-implemented', `prefetch_size!=0 (${prefetchSize})`);
    if (global) channel.deliveries.limitChannel(prefetchCount);
    else channel.deliveries.limitConsumers(prefetchCount);
    channel.reply('basic.qos-ok', {});
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
    settle(channel, channel.deliveries.take(deliveryTag, multiple), 'forget');
  },
  'basic.reject': (channel, { deliveryTag, requeue }) => {
    settle(channel, channel.deliveries.take(deliveryTag, false), requeue ? 'requeue' : 'forget');
  },
  'basic.recover-async': (channel, { requeue }) => {
    recover(channel, requeue);
  },
  'basic.recover': (channel, { requeue }) => {
    recover(channel, requeue);
    channel.reply('basic.recover-ok', {});
  },
  'basic.recover-ok': unexpectedMethod,
  'basic.nack': (channel, { deliveryTag, multiple, requeue }) => {
    settle(channel, channel.deliveries.take(deliveryTag, multiple), requeue ? 'requeue' : 'forget');
  },
};

function consume(channel: Channel, args: MethodArguments<'basic.consume'>): undefined {
  const { connection, deliveries } = channel;
  const { noAck, exclusive, noWait } = args;
  const tag =
    args.consumerTag === '' ? `amq.ctag-${randomBytes(16).toString('base64url')}` : args.consumerTag;
  deliveries.assertFree(tag);
  const queue = connection.virtualHost.queue(queueName(channel, args.queue), connection);
  const consumer = deliveries.consume(queue, { tag, noAck, exclusive, priority: priorityIn(args.arguments) });
  channel.answer(undefined, noWait, 'basic.consume-ok', { consumerTag: tag });
  consumer.wake();
}

function get(channel: Channel, { queue: name, noAck }: MethodArguments<'basic.get'>): undefined {
  const { connection, deliveries, number } = channel;
  const queue = connection.virtualHost.queue(queueName(channel, name), connection);
  const got = deliveries.get(queue, noAck);
  if (got === undefined) {
    channel.reply('basic.get-empty', {});
    return;
  }
  const { exchange, routingKey } = got.entry.message;
  const fields = { deliveryTag: got.tag, redelivered: got.entry.redelivered, exchange, routingKey };
  const frame = methodFrame(number, 'basic.get-ok', { ...fields, messageCount: queue.messageCount });
  connection.output.content(frame, number, got.entry.message as ContentMessage);
}

/** On a transactional channel only the commit makes it so. */
function settle(channel: Channel, deliveries: readonly Delivery[], settlement: Settlement): void {
  const { transaction } = channel.publishing;
  if (transaction === undefined) channel.deliveries.settle(deliveries, settlement);
  else transaction.addSettlement({ deliveries, settlement });
}

function recover(channel: Channel, requeue: boolean): void {
  // RabbitMQ: redelivery to the same consumer is not offered.
  if (!requeue) throw new ConnectionError('not-implemented', 'requeue=false');
  channel.deliveries.settle(channel.deliveries.takeAll(), 'requeue');
}

/** Consumer priority, RabbitMQ's extension: an integer, 0 unless given. */
function priorityIn(args: FieldTable): number {
  const priority = args['x-priority'] ?? 0;
  if (typeof priority === 'number' && Number.isInteger(priority)) return priority;
  throw new ChannelError(
    'precondition-failed',
    `invalid arg 'x-priority': expected an integer, got '${priority}'`,
  );
}
