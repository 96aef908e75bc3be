import { BrokerError } from './errors.js';
import { MAX_NAME_BYTES } from './limits.js';

const SERVER_NAME_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 22 characters of 6 bits: nobody guesses the name of another's queue. */
const SERVER_NAME_CHARACTERS = 22;

/** The virtual host that a node may have for itself, beside those that administrators make. */
export const PRIVATE_VIRTUAL_HOST = 'xspace-relay';

/** RabbitMQ drops line breaks from the names of queues and exchanges, where those are declared, deleted, bound and unbound. */
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

/** Names that administrators give. Control characters would tear the lines that lists and logs write them in. */
export function assertName(kind: 'user' | 'vhost' | 'tag', name: string): void {
  const bytes = Buffer.byteLength(name);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (bytes > 0 && bytes <= MAX_NAME_BYTES && !/[\x00-\x1f\x7f]/.test(name)) return;
  const expected = `1 to ${MAX_NAME_BYTES} bytes without control characters`;
  throw new BrokerError('precondition-failed', `${kind} name: expected ${expected}, found '${name}'`);
}
