import type { MethodName } from './codec/index.js';
import type { Connection } from './connection.js';
import { methodFrame } from './frames.js';
import type { Handlers } from './methods.js';
import { ConnectionError } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

/** After the handshake there are two requests left that a client can make of its connection. */
export const connectionMethods: Handlers<Extract<MethodName, `connection.${string}`>> = {
  'connection.start': unexpectedMethod,
  'connection.start-ok': outOfOrder,
  'connection.secure': unexpectedMethod,
  'connection.secure-ok': outOfOrder,
  'connection.tune': unexpectedMethod,
  'connection.tune-ok': outOfOrder,
  'connection.open': outOfOrder,
  'connection.open-ok': unexpectedMethod,
  'connection.close': (connection) => {
    connection.closedByClient();
  },
  'connection.close-ok': outOfOrder,
  'connection.blocked': unexpectedMethod,
  'connection.unblocked': unexpectedMethod,
  // A password was checked at login and is not asked for again, so there is nothing to refresh: as in RabbitMQ.
  'connection.update-secret': (connection) => {
    connection.output.frame(methodFrame(0, 'connection.update-secret-ok', {}));
  },
  'connection.update-secret-ok': unexpectedMethod,
};

function outOfOrder(_: Connection): never {
  throw new ConnectionError('channel-error', 'unexpected method in connection state running');
}
