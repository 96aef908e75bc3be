import { expect } from 'vitest';
import type { FieldTable, MemoryAccount, Queue, VirtualHost } from '../../src/broker/index.js';
import { FakeStorage } from './fake-storage.js';
import type { TestClient, TestProperties } from './support.js';
import { createBroker, take, textOf } from './support.js';

export const PAGING = {
  memoryMessages: 4,
  memoryBytes: 1_000,
  tightMemoryMessages: 2,
  pageMessages: 4,
  pageBytes: 1_000_000,
};

export interface Testbed {
  readonly storage: FakeStorage;
  readonly host: VirtualHost;
  readonly client: TestClient;
  readonly memory: MemoryAccount;
  readonly warnings: unknown[];
}

export function start(storage = FakeStorage.empty()): Testbed {
  const warnings: unknown[] = [];
  const warn = (text: string, error?: unknown) => warnings.push(text, error);
  const { host, client, memory } = createBroker(undefined, { storage, paging: PAGING, warn });
  return { storage, host, client, memory, warnings };
}

export function declare({ client }: Testbed, args: FieldTable = {}): Queue {
  return client.queue('q', { durable: true, arguments: args });
}

/** The node starts again, and finds the queue that it had. */
export function restart(storage: FakeStorage): Testbed & { queue: Queue } {
  const testbed = start(storage);
  return { ...testbed, queue: testbed.host.queue('q', testbed.client) };
}

export function send({ client }: Testbed, texts: Iterable<string>, properties: TestProperties = {}): void {
  for (const text of texts) client.publish('', 'q', text, { persistent: true, ...properties });
}

export function stored({ storage }: Testbed): string[] {
  return storage.entries(1).map(({ message }) => textOf(message));
}

/** Takes everything, with all the reading and writing that it takes. Redelivered ones are marked. */
export async function drainAll({
  queue,
  storage,
}: {
  queue: Queue;
  storage: FakeStorage;
}): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const entry = queue.get(true);
    if (entry === undefined) return texts;
    if (entry instanceof Promise) {
      storage.sync();
      await entry;
    } else texts.push(textOf(entry.message) + (entry.redelivered ? '!' : ''));
  }
}

export function drain4(queue: Queue): void {
  expect([1, 2, 3, 4].map(() => take(queue, true)?.state)).toEqual(Array(4).fill('settled'));
}
