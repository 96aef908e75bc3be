import type { Queue } from '../broker/index.js';
import { MESSAGE_OVERHEAD_BYTES } from './limits.js';

/** See limits.ts. */
export interface OutletLimits {
  readonly checkBytes: number;
  readonly highBytes: number;
  readonly stallMs: number;
  readonly pollMs: number;
}

type State =
  | { readonly name: 'flowing' }
  /** Above its limit, or not below half of it since. `left`: how many messages had left it at `sinceMs`. */
  | { readonly name: 'full'; readonly sinceMs: number; readonly left: number }
  | { readonly name: 'stalled'; readonly left: number };

const FLOWING: State = { name: 'flowing' };

/**
 * A queue that a relay of another member reads.
 *
 *     flowing ──(above the limit)──▶ full ──(nothing leaves it for too long: dropped)──▶ stalled
 *        ▲                             │                                                    │
 *        ├───(below half of it)────────┘                                                    │
 *        └───(something leaves it)──────────────────────────────────────────────────────────┘
 */
export class RelayQueue {
  readonly queue: Queue;
  readonly #limits: OutletLimits;
  readonly #stalled: (queue: RelayQueue) => void;
  #state = FLOWING;
  #dropped = 0;

  /** `stalled`: it has just stalled, and what waited is dropped. */
  constructor(queue: Queue, limits: OutletLimits, stalled: (queue: RelayQueue) => void) {
    this.queue = queue;
    this.#limits = limits;
    this.#stalled = stalled;
  }

  get droppedMessages(): number {
    return this.#dropped;
  }

  /** Looks at how full it is; whether publishers have to wait for it. */
  check(nowMs: number): boolean {
    const { highBytes, stallMs } = this.#limits;
    const heldBytes = this.queue.readyBytes + this.queue.messageCount * MESSAGE_OVERHEAD_BYTES;
    const left = this.#left;
    if (this.#state.name === 'stalled' && this.#state.left !== left) this.#state = FLOWING;
    switch (this.#state.name) {
      case 'flowing':
        if (heldBytes > highBytes) this.#state = { name: 'full', sinceMs: nowMs, left };
        break;
      case 'full':
        if (heldBytes < highBytes / 2) this.#state = FLOWING;
        else if (this.#state.left !== left) this.#state = { name: 'full', sinceMs: nowMs, left };
        else if (nowMs - this.#state.sinceMs >= stallMs) this.#stall(left);
        break;
      case 'stalled':
        if (heldBytes > highBytes) this.#drop();
        break;
      default:
        this.#state satisfies never;
    }
    return this.#state.name === 'full';
  }

  /** Messages that were taken out of it. */
  get #left(): number {
    return this.queue.enqueuedCount - this.queue.messageCount - this.#dropped;
  }

  #stall(left: number): void {
    this.#state = { name: 'stalled', left };
    this.#drop();
    this.#stalled(this);
  }

  #drop(): void {
    this.#dropped += this.queue.purge();
  }
}
