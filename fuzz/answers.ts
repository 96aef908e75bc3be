import type { MethodName } from '../src/amqp-codec/index.js';

/** What answers what: AMQP 0-9-1 §1 with RabbitMQ's extensions. A method that is not here has no answer. */
export const ANSWERS: { readonly [N in MethodName]?: readonly MethodName[] } = {
  'connection.update-secret': ['connection.update-secret-ok'],
  'channel.open': ['channel.open-ok'],
  'channel.flow': ['channel.flow-ok'],
  'channel.close': ['channel.close-ok'],
  'access.request': ['access.request-ok'],
  'exchange.declare': ['exchange.declare-ok'],
  'exchange.delete': ['exchange.delete-ok'],
  'exchange.bind': ['exchange.bind-ok'],
  'exchange.unbind': ['exchange.unbind-ok'],
  'queue.declare': ['queue.declare-ok'],
  'queue.bind': ['queue.bind-ok'],
  'queue.purge': ['queue.purge-ok'],
  'queue.delete': ['queue.delete-ok'],
  'queue.unbind': ['queue.unbind-ok'],
  'basic.qos': ['basic.qos-ok'],
  'basic.consume': ['basic.consume-ok'],
  'basic.cancel': ['basic.cancel-ok'],
  'basic.get': ['basic.get-ok', 'basic.get-empty'],
  'basic.recover': ['basic.recover-ok'],
  'tx.select': ['tx.select-ok'],
  'tx.commit': ['tx.commit-ok'],
  'tx.rollback': ['tx.rollback-ok'],
  'confirm.select': ['confirm.select-ok'],
};

/** What a server may send on a channel without being asked. */
export const UNASKED: ReadonlySet<MethodName> = new Set<MethodName>([
  'basic.deliver',
  'basic.return',
  'basic.ack',
  'basic.nack',
  'basic.cancel',
  'channel.close',
]);

/** What is followed by a content header and bodies. */
export const CARRIES_CONTENT: ReadonlySet<MethodName> = new Set<MethodName>([
  'basic.deliver',
  'basic.return',
  'basic.get-ok',
]);
