import type { Method, MethodArguments, MethodName } from '../amqp-codec/index.js';
import { basicMethods } from './basic-methods.js';
import type { Channel } from './channel.js';
import { channelMethods } from './channel-methods.js';
import type { Connection } from './connection.js';
import { connectionMethods, unexpectedOnConnection } from './connection-methods.js';
import { exchangeMethods } from './exchange-methods.js';
import { queueMethods } from './queue-methods.js';
import { transactionMethods } from './transaction-methods.js';
import { unexpectedMethod } from './unexpected-method.js';

/** Methods of class connection concern the connection, all others one of its channels. */
type Subject<N extends MethodName> = N extends `connection.${string}` ? Connection : Channel;

/**
 * Does what a method asks for. Where that takes time, a promise comes back, and the channel takes up its next method
 * when it settles. What is thrown, then or later, becomes the reply.
 */
type Handler<N extends MethodName> = (
  subject: Subject<N>,
  args: MethodArguments<N>,
) => Promise<void> | undefined;

/** Handlers for some methods; together they are the dispatch map. */
export type Handlers<N extends MethodName> = { readonly [M in N]: Handler<M> };

/** The dispatch map: a method that is missing here does not compile. */
const HANDLERS: Handlers<MethodName> = {
  ...connectionMethods,
  ...channelMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...basicMethods,
  ...transactionMethods,
};

type AnyHandler<S> = (subject: S, args: Method['arguments']) => Promise<void> | undefined;

export function handleOnConnection(connection: Connection, { name, arguments: args }: Method): void {
  // AMQP 0-9-1 §1.4: channel 0 is for class connection.
  if (!name.startsWith('connection.')) unexpectedOnConnection();
  (HANDLERS[name] as AnyHandler<Connection>)(connection, args);
}

export function handleOnChannel(
  channel: Channel,
  { name, arguments: args }: Method,
): Promise<void> | undefined {
  if (name.startsWith('connection.')) unexpectedMethod();
  return (HANDLERS[name] as AnyHandler<Channel>)(channel, args);
}
