import type { ConfirmChannel } from 'amqplib';
import { expect } from 'vitest';
import { refusalOf } from '../amqplib-support.js';
import type { Account } from './accounts.js';
import type { Server } from './server.js';

/** Expects that the server refuses `attempt`, made on a connection of its own, with exactly this. */
export async function expectRefusal(
  server: Server,
  attempt: (channel: ConfirmChannel) => unknown,
  scope: 'channel' | 'connection',
  code: number,
  text: string | RegExp,
  account?: Account,
): Promise<void> {
  const refusal = await refusalOf(server.url(account), attempt);
  // amqplib has words of its own around those of the server.
  const said = /with message "(.*)"$/s.exec(refusal.text)?.[1] ?? refusal.text;
  expect(`${refusal.scope} ${refusal.code}: ${said}`).toMatch(`${scope} ${code}: `);
  if (text instanceof RegExp) expect(said).toMatch(text);
  else expect(said).toBe(text);
}
