import type { MethodName } from '../amqp-codec/index.js';
import { methodFrame } from '../amqp-codec/index.js';
import type { Handlers } from './methods.js';
import { ConnectionError } from './reply-code.js';

/** After the handshake there are two requests left that a client can make of its connection. */
export const connectionMethods: Handlers<Extract<MethodName, `connection.${string}`>> = {
  'connection.start': unexpectedOnConnection,
  'connection.start-ok': unexpectedOnConnection,
  'connection.secure': unexpectedOnConnection,
  'connection.secure-ok': unexpectedOnConnection,
  'connection.tune': unexpectedOnConnection,
  'connection.tune-ok': unexpectedOnConnection,
  'connection.open': unexpectedOnConnection,
  'connection.open-ok': unexpectedOnConnection,
  'connection.close': (connection) => {
    connection.closedByClient();
  },
  'connection.close-ok': unexpectedOnConnection,
  'connection.blocked': unexpectedOnConnection,
  'connection.unblocked': unexpectedOnConnection,
  // A password was checked at login and is not asked for again, so there is nothing to refresh: as in RabbitMQ.
  'connection.update-secret': (connection) => {
    connection.output.frame(methodFrame(0, 'connection.update-secret-ok', {}));
  },
  'connection.update-secret-ok': unexpectedOnConnection,
};

/** The handler of all other methods on channel 0: RabbitMQ knows them in other states only, and says so. */
export function unexpectedOnConnection(): never {
  throw new ConnectionError('channel-error', 'unexpected method in connection state running');
}
