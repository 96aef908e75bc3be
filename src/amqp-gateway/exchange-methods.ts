import type { MethodArguments, MethodName } from '../amqp-codec/index.js';
import type { Channel } from './channel.js';
import type { Handlers } from './methods.js';
import { checkExchangeBinding, checkExchangeDeclare, checkExchangeDelete } from './permission-checks.js';
import { unexpectedMethod } from './unexpected-method.js';

export const exchangeMethods: Handlers<Extract<MethodName, `exchange.${string}`>> = {
  'exchange.declare': (channel, args) =>
    channel.answerKept(declareExchange(channel, args), args.noWait, 'exchange.declare-ok', {}),
  'exchange.declare-ok': unexpectedMethod,
  'exchange.delete': (channel, args) =>
    channel.answerKept(deleteExchange(channel, args), args.noWait, 'exchange.delete-ok', {}),
  'exchange.delete-ok': unexpectedMethod,
  'exchange.bind': (channel, args) => {
    checkExchangeBinding(channel.connection, args);
    const done = channel.connection.virtualHost.bindExchange(exchangeBinding(args));
    return channel.answerKept(done, args.noWait, 'exchange.bind-ok', {});
  },
  'exchange.bind-ok': unexpectedMethod,
  'exchange.unbind': (channel, args) => {
    checkExchangeBinding(channel.connection, args);
    channel.connection.virtualHost.unbindExchange(exchangeBinding(args));
    return channel.answerKept(undefined, args.noWait, 'exchange.unbind-ok', {});
  },
  'exchange.unbind-ok': unexpectedMethod,
};

function declareExchange(
  channel: Channel,
  args: MethodArguments<'exchange.declare'>,
): Promise<void> | undefined {
  const { exchange: name, passive, noWait: _, ...spec } = args;
  const { virtualHost, services } = channel.connection;
  if (passive) {
    virtualHost.assertExchange(name);
    return undefined;
  }
  const aliases = services.aliases?.declares(spec.type) ? services.aliases : undefined;
  if (aliases === undefined) virtualHost.assertExchangeType(spec.type);
  checkExchangeDeclare(channel.connection, name, spec.arguments);
  if (aliases !== undefined) return aliases.declare(virtualHost, { name, ...spec }, channel.signal);
  virtualHost.declareExchange(name, spec);
  return undefined;
}

function deleteExchange(
  channel: Channel,
  args: MethodArguments<'exchange.delete'>,
): Promise<void> | undefined {
  const { exchange: name, ifUnused } = args;
  const { virtualHost, services } = channel.connection;
  checkExchangeDelete(channel.connection, name);
  const done = services.aliases?.delete(virtualHost, name, { ifUnused });
  if (done === undefined) virtualHost.deleteExchange(name, { ifUnused });
  return done;
}

function exchangeBinding(args: MethodArguments<'exchange.bind'>) {
  const { destination, source, routingKey } = args;
  return { destination, source, pattern: { routingKey, arguments: args.arguments } };
}
