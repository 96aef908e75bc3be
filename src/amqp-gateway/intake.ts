import type { Socket } from 'node:net';
import { MAX_HELD_BYTES } from './limits.js';

/**
 * Whether a connection's socket is being read. Anybody can have a reason not to; while there is one, the client is
 * held up by TCP. A reason is known by its identity: given twice, it counts once.
 */
export class Intake {
  readonly #socket: Socket;
  readonly #reasons = new Set<unknown>();
  #heldBytes = 0;
  #state: 'open' | 'closing' = 'open';

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get paused(): boolean {
    return this.#reasons.size > 0;
  }

  pause(reason: unknown): void {
    if (this.#state === 'closing') return;
    this.#reasons.add(reason);
    this.#socket.pause();
  }

  resume(reason: unknown): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#socket.resume();
  }

  pauseUntil(settled: Promise<void>): void {
    if (this.#reasons.has(settled)) return;
    this.pause(settled);
    const resume = () => this.resume(settled);
    settled.then(resume, resume);
  }

  /** Counts octets that are kept until their channel can handle them; a negative number when it has. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > MAX_HELD_BYTES) this.pause(this);
    else if (this.#heldBytes <= MAX_HELD_BYTES / 2) this.resume(this);
  }

  /** From now on everything is read, whatever the reasons: the client's close-ok is awaited. */
  drain(): void {
    this.#state = 'closing';
    this.#reasons.clear();
    this.#socket.resume();
  }
}
