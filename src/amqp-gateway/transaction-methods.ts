import type { MethodName } from '../amqp-codec/index.js';
import type { Handlers } from './methods.js';
import { unexpectedMethod } from './unexpected-method.js';

export const transactionMethods: Handlers<Extract<MethodName, `tx.${string}` | `confirm.${string}`>> = {
  'tx.select': (channel) => {
    channel.publishing.selectTransaction();
    channel.reply('tx.select-ok', {});
  },
  'tx.select-ok': unexpectedMethod,
  'tx.commit': (channel) => {
    const done = channel.publishing.commit();
    return channel.answer(done, false, 'tx.commit-ok', {});
  },
  'tx.commit-ok': unexpectedMethod,
  'tx.rollback': (channel) => {
    channel.publishing.rollback();
    channel.reply('tx.rollback-ok', {});
  },
  'tx.rollback-ok': unexpectedMethod,

  'confirm.select': (channel, { noWait }) => {
    channel.publishing.selectConfirm();
    return channel.answer(undefined, noWait, 'confirm.select-ok', {});
  },
  'confirm.select-ok': unexpectedMethod,
};
