import type { FieldTable, MethodArguments } from '../amqp-codec/index.js';
import { cleanName } from '../broker/index.js';
import type { Connection } from './connection.js';

/*
 * What has to be permitted for each method, as in RabbitMQ, and in its order: before it is known whether the queue or
 * exchange exists, and after what nobody may do to the default exchange and to reserved names, which is the broker's to
 * refuse. Passive declares need nothing.
 *
 *     exchange.declare   configure it           where it is new: read it and write its alternate exchange
 *     exchange.delete    configure it
 *     exchange.bind, exchange.unbind            write the destination, read the source
 *     queue.declare      configure it           where it is new: read it and write its dead letter exchange
 *     queue.delete       configure it
 *     queue.bind, queue.unbind                  write the queue, read the exchange
 *     queue.purge, basic.get, basic.consume     read the queue
 *     basic.publish      write the exchange     (`Authorization.assertPublish`)
 *
 * Line breaks are dropped from names first, but not by purge, get, consume and publish, nor from the names in arguments.
 */

const RESERVED_PREFIX = 'amq.';

export function checkExchangeDeclare(connection: Connection, name: string, args: FieldTable): void {
  if (name === '') return;
  const { authorization, virtualHost } = connection;
  authorization.assert('configure', 'exchange', cleanName(name));
  const alternate = args['alternate-exchange'];
  if (typeof alternate !== 'string' || virtualHost.findExchange(name) !== undefined) return;
  authorization.assert('read', 'exchange', cleanName(name));
  authorization.assert('write', 'exchange', alternate);
}

export function checkExchangeDelete({ authorization }: Connection, name: string): void {
  if (name === '' || name.startsWith(RESERVED_PREFIX)) return;
  authorization.assert('configure', 'exchange', cleanName(name));
}

export function checkExchangeBinding(
  { authorization }: Connection,
  { destination, source }: MethodArguments<'exchange.unbind'>,
): void {
  authorization.assert('write', 'exchange', cleanName(destination));
  if (destination !== '' && source !== '') authorization.assert('read', 'exchange', cleanName(source));
}

/** `newName`: what it will be called where its name is left to the server. */
export function checkQueueDeclare(
  { authorization, virtualHost }: Connection,
  name: string,
  newName: string,
  args: FieldTable,
): void {
  if (name.startsWith(RESERVED_PREFIX)) return;
  const queue = name === '' ? newName : cleanName(name);
  authorization.assert('configure', 'queue', queue);
  const deadLetterExchange = args['x-dead-letter-exchange'];
  if (typeof deadLetterExchange !== 'string' || virtualHost.findQueue(queue) !== undefined) return;
  authorization.assert('read', 'queue', queue);
  authorization.assert('write', 'exchange', deadLetterExchange);
}

export function checkQueueBinding({ authorization }: Connection, queue: string, exchange: string): void {
  authorization.assert('write', 'queue', cleanName(queue));
  if (exchange !== '') authorization.assert('read', 'exchange', cleanName(exchange));
}
