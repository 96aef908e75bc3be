import type { Channel } from './channel.js';
import type { MethodArguments, MethodName } from './codec/index.js';
import type { Handlers } from './methods.js';
import { unexpectedMethod } from './unexpected-method.js';

export const exchangeMethods: Handlers<Extract<MethodName, `exchange.${string}`>> = {
  'exchange.declare': (channel, args) =>
    channel.answer(declareExchange(channel, args), args.noWait, 'exchange.declare-ok', {}),
  'exchange.declare-ok': unexpectedMethod,
  'exchange.delete': (channel, args) =>
    channel.answer(deleteExchange(channel, args), args.noWait, 'exchange.delete-ok', {}),
  'exchange.delete-ok': unexpectedMethod,
  'exchange.bind': (channel, args) => {
    const done = channel.connection.virtualHost.bindExchange(exchangeBinding(args));
    return channel.answer(done, args.noWait, 'exchange.bind-ok', {});
  },
  'exchange.bind-ok': unexpectedMethod,
  'exchange.unbind': (channel, args) => {
    channel.connection.virtualHost.unbindExchange(exchangeBinding(args));
    return channel.answer(undefined, args.noWait, 'exchange.unbind-ok', {});
  },
  'exchange.unbind-ok': unexpectedMethod,
};

function declareExchange(
  channel: Channel,
  args: MethodArguments<'exchange.declare'>,
): Promise<void> | undefined {
  const { exchange: name, passive, noWait: _, ...spec } = args;
  const { virtualHost, services } = channel.connection;
  if (passive) virtualHost.assertExchange(name);
  else if (services.aliases?.declares(spec.type)) {
    return services.aliases.declare(virtualHost, { name, ...spec }, channel.signal);
  } else virtualHost.declareExchange(name, spec);
  return undefined;
}

function deleteExchange(
  channel: Channel,
  args: MethodArguments<'exchange.delete'>,
): Promise<void> | undefined {
  const { exchange: name, ifUnused } = args;
  const { virtualHost, services } = channel.connection;
  const done = services.aliases?.delete(virtualHost, name, { ifUnused });
  if (done === undefined) virtualHost.deleteExchange(name, { ifUnused });
  return done;
}

function exchangeBinding(args: MethodArguments<'exchange.bind'>) {
  const { destination, source, routingKey } = args;
  return { destination, source, pattern: { routingKey, arguments: args.arguments } };
}
