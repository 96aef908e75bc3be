import type { ReceivedMessage, Subscription } from './client.js';

const LIMIT_MS = 20_000;

/** Collects deliveries and wakes whoever waits for them. */
export class Inbox implements Subscription {
  readonly #received: ReceivedMessage[] = [];
  #check: () => void = () => undefined;

  add(message: ReceivedMessage): void {
    this.#received.push(message);
    this.#check();
  }

  until(isComplete: (received: readonly ReceivedMessage[]) => boolean): Promise<readonly ReceivedMessage[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const last = this.#received.slice(-3).map((message) => `${message.routingKey} ${message.body}`);
        reject(new Error(`after ${LIMIT_MS} ms: ${this.#received.length} messages, the last ${last}`));
      }, LIMIT_MS);
      this.#check = () => {
        if (!isComplete(this.#received)) return;
        clearTimeout(timer);
        resolve(this.#received);
      };
      this.#check();
    });
  }
}
