import type { MethodName } from '../amqp-codec/index.js';
import type { Handlers } from './methods.js';
import { ConnectionError, secondOpen } from './reply-code.js';
import { unexpectedMethod } from './unexpected-method.js';

export const channelMethods: Handlers<Extract<MethodName, `channel.${string}` | `access.${string}`>> = {
  'channel.open': () => {
    throw secondOpen();
  },
  'channel.open-ok': unexpectedMethod,
  'channel.flow': (channel, { active }) => {
    // RabbitMQ has prefetch for this, and clients know its answer.
    if (!active) throw new ConnectionError('not-implemented', 'active=false');
    channel.reply('channel.flow-ok', { active });
  },
  'channel.flow-ok': unexpectedMethod,
  'channel.close': (channel) => {
    channel.close();
  },
  'channel.close-ok': unexpectedMethod,

  // AMQP 0-8 had tickets; old clients still ask, and any ticket will do.
  'access.request': (channel) => {
    channel.reply('access.request-ok', { ticket: 1 });
  },
  'access.request-ok': unexpectedMethod,
};
