import { describe, expect, it } from 'vitest';
import { MemoryAccount } from '../../src/broker/index.js';
import { createBroker, drain, MESSAGE_BYTES } from './support.js';

function createAccount(): { account: MemoryAccount; changes: boolean[]; stop: () => void } {
  const account = new MemoryAccount({ limitBytes: 1_000, limitEntries: 100 });
  const changes: boolean[] = [];
  const stop = account.onChange((high) => changes.push(high));
  return { account, changes, stop };
}

describe('a memory account', () => {
  it('is high above its limit, and low again only below 90 % of it', () => {
    const { account, changes } = createAccount();
    account.add(1_000);
    expect(account.high).toBe(false);
    account.add(1);
    expect(account.high).toBe(true);
    account.add(-100);
    expect(account.high).toBe(true);
    account.add(-1);
    expect(account.high).toBe(false);
    expect(changes).toEqual([true, false]);
  });

  it('is high for too many entries as well, and low only when both are back', () => {
    const { account, changes } = createAccount();
    account.add(950, 101);
    account.add(0, -50);
    expect(account.high).toBe(true);
    account.add(-51);
    expect(account.high).toBe(false);
    expect(changes).toEqual([true, false]);
  });

  it('calls nobody back who does not want it any more', () => {
    const { account, changes, stop } = createAccount();
    account.add(2_000);
    stop();
    account.add(-2_000);
    expect(changes).toEqual([true]);
  });

  it('counts the bytes of a message once however many queues have it, and its entries each', () => {
    const { client, memory } = createBroker();
    const queues = ['a', 'b', 'c'].map((name) => client.queue(name));
    client.send('a', 'x');
    const single = memory.bytes;
    for (const name of ['a', 'b', 'c']) client.bind(name, 'amq.fanout');
    client.publish('amq.fanout', '', 'y');

    expect(memory.entries).toBe(4);
    expect(memory.bytes).toBeGreaterThan(2 * single);
    expect(memory.bytes).toBeLessThan(2 * single + 2 * MESSAGE_BYTES + 1_000);
    const shared = memory.bytes - single;
    expect(shared).toBeLessThan(2 * single);
    for (const queue of queues) drain(queue);
    expect(memory).toMatchObject({ bytes: 0, entries: 0 });
  });
});
