import { ConnectionError } from './reply-code.js';

/** The handler of methods that clients do not send: replies of the server, its notices, and those of another state. */
export function unexpectedMethod(): never {
  // AMQP 0-9-1 §1.2; the text is RabbitMQ's.
  throw new ConnectionError('command-invalid', 'unimplemented method');
}
