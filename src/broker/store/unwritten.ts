import type { MemoryAccount } from '../memory-account.js';
import type { Message } from '../message.js';
import { MAX_UNWRITTEN_BYTES } from './limits.js';

/** Messages that are asked to be kept and not on the disk yet: they are held in memory until they are. */
export class Unwritten {
  readonly #memory: MemoryAccount;
  #bytes = 0;
  #congestion: { readonly relieved: Promise<void>; readonly relieve: () => void } | undefined;

  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  /** While there is too much: settles when less than half of that is left. */
  get congestion(): Promise<void> | undefined {
    return this.#congestion?.relieved;
  }

  hold(message: Message): void {
    this.#memory.hold(message);
    this.#bytes += message.sizeBytes;
    if (this.#bytes <= MAX_UNWRITTEN_BYTES || this.#congestion !== undefined) return;
    let relieve = (): void => {};
    const relieved = new Promise<void>((resolve) => {
      relieve = resolve;
    });
    this.#congestion = { relieved, relieve };
  }

  release(message: Message): void {
    this.#memory.release(message);
    this.#bytes -= message.sizeBytes;
    if (this.#bytes < MAX_UNWRITTEN_BYTES / 2) this.relieve();
  }

  relieve(): void {
    this.#congestion?.relieve();
    this.#congestion = undefined;
  }
}
