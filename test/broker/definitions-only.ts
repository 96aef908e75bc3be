import type { Definition, Storage } from '../../src/broker/storage.js';

/** A storage in memory that has definitions and no queues; `restarted` is what the next start finds. */
export class DefinitionsOnly implements Storage {
  readonly definitions: readonly Definition[];
  readonly current = 1;
  readonly synced = 0;
  readonly definedIn = 1;
  readonly congestion = undefined;
  readonly #now: Map<string, Definition>;

  constructor(definitions: readonly Definition[] = []) {
    this.definitions = definitions;
    this.#now = new Map(
      definitions.map((definition) => [keyOf(definition.kind, definition.key), definition]),
    );
  }

  restarted(): DefinitionsOnly {
    return new DefinitionsOnly(structuredClone([...this.#now.values()]));
  }

  /** As text: what somebody who reads the disk would see. */
  text(): string {
    return JSON.stringify([...this.#now.values()]);
  }

  define(definition: Definition): void {
    this.#now.set(keyOf(definition.kind, definition.key), definition);
  }

  undefine(kind: Definition['kind'], key: readonly string[]): void {
    this.#now.delete(keyOf(kind, key));
  }

  onSynced(): () => void {
    return () => {};
  }

  nextQueueId(): number {
    throw new Error('there are no queues');
  }

  openQueue(): never {
    throw new Error('there are no queues');
  }

  removeQueue(): void {}
}

function keyOf(kind: string, key: readonly string[]): string {
  return JSON.stringify([kind, ...key]);
}
