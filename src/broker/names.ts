import { BrokerError } from './errors.js';

const SERVER_NAME_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 22 characters of 6 bits: nobody guesses the name of another's queue. */
const SERVER_NAME_CHARACTERS = 22;

/** RabbitMQ drops line breaks from the names of queues and exchanges, everywhere but in basic.publish. */
export function cleanName(name: string): string {
  return name.replaceAll('\r', '').replaceAll('\n', '');
}

/**
 * AMQP 0-9-1 exchange.declare and queue.declare, rule `reserved`: names starting with `amq.` are the server's.
 */
export function assertNotReserved(kind: 'queue' | 'exchange', name: string): void {
  if (!name.startsWith('amq.')) return;
  throw new BrokerError('access-refused', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
}

/** A name for a queue whose declarer left the name to the server. */
export function createQueueName(): string {
  let name = 'amq.gen-';
  for (const byte of crypto.getRandomValues(new Uint8Array(SERVER_NAME_CHARACTERS))) {
    name += SERVER_NAME_ALPHABET.charAt(byte & 63);
  }
  return name;
}
