import { expect, it } from 'vitest';
import { MemoryAccount } from '../src/broker/index.js';
import { shortageOfEither } from '../src/shortage.js';

class Disk {
  high = false;
  readonly listeners = new Set<(high: boolean) => void>();

  onChange(listener: (high: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(high: boolean): void {
    this.high = high;
    for (const listener of this.listeners) listener(high);
  }
}

it('one shortage begins with the first of memory and disk that is short, and ends with the last', () => {
  const [memory, disk] = [new MemoryAccount({ limitBytes: 100, limitEntries: 100 }), new Disk()];
  const either = shortageOfEither(memory, disk);
  const changes: boolean[] = [];
  const end = either.onChange((high) => changes.push(high));

  either.add(101);
  disk.set(true);
  expect([either.high, ...changes]).toEqual([true, true]);
  either.add(-101);
  expect([either.high, ...changes]).toEqual([true, true]);
  disk.set(false);
  expect([either.high, ...changes]).toEqual([false, true, false]);

  end();
  disk.set(true);
  either.add(101);
  expect(changes).toEqual([true, false]);
  expect(disk.listeners.size).toBe(0);
});

it('a node that keeps nothing is short of memory alone', () => {
  const memory = new MemoryAccount({ limitBytes: 100, limitEntries: 100 });
  expect(shortageOfEither(memory, undefined)).toBe(memory);
});
