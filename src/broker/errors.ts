/**
 * Why the broker refused something. The gateway translates each code to the AMQP reply code of the same name.
 */
export type BrokerErrorCode =
  | 'access-refused'
  | 'not-found'
  | 'resource-locked'
  | 'precondition-failed'
  | 'command-invalid'
  | 'not-allowed'
  | 'not-implemented';

/** The one error class of the broker. The texts are RabbitMQ's where it has one: clients match them. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: BrokerErrorCode;

  constructor(code: BrokerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** How RabbitMQ's texts name a queue or an exchange. */
export function describe(kind: 'queue' | 'exchange', name: string, virtualHost: string): string {
  return `${kind} '${name}' in vhost '${virtualHost}'`;
}
