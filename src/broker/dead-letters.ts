import type { Death, DeathReason } from './death-headers.js';
import { deathHeaders, goesRound } from './death-headers.js';
import type { Exchange, ExchangeHooks, Route } from './exchange.js';
import { Fifo } from './fifo.js';
import type { Message } from './message.js';
import { NOBODY } from './publisher.js';

/** Where a queue's dead letters go. */
export interface DeadLetterTarget {
  readonly exchange: string;
  /** Instead of the keys that they came with. */
  readonly routingKey: string | undefined;
}

interface DeadLetter {
  readonly message: Message;
  readonly death: Death;
  readonly target: DeadLetterTarget;
}

/** What dead letters need of their virtual host. */
export interface DeadLetterContext {
  findExchange(name: string): Exchange | undefined;
  route(exchange: Exchange, message: Message): Route;
  warn(text: string): void;
}

/**
 * Publishes what queues drop, expire and have rejected, at once and in order. One dead letter can bring about others,
 * in chains as long as there are queues, so those wait until it is done.
 *
 * A decorated exchange cannot slow the queue down. While its hooks ask to pause they hear of no dead letter, so that
 * nothing piles up behind them; queues of this node get them all the same.
 */
export class DeadLetters {
  readonly #context: DeadLetterContext;
  readonly #waiting = new Fifo<DeadLetter>();
  readonly #pausing = new WeakSet<ExchangeHooks>();
  #state: 'idle' | 'publishing' = 'idle';

  constructor(context: DeadLetterContext) {
    this.#context = context;
  }

  publish(message: Message, queue: string, reason: DeathReason, target: DeadLetterTarget): void {
    const letter = { message, death: { queue, reason, timeMs: Date.now() }, target };
    if (this.#state === 'publishing') {
      message.retain();
      this.#waiting.push(letter);
      return;
    }
    this.#state = 'publishing';
    try {
      for (let next: DeadLetter | undefined = letter; next !== undefined; next = this.#waiting.shift())
        this.#publish(next);
    } finally {
      this.#state = 'idle';
    }
  }

  #publish({ message, death, target }: DeadLetter): void {
    // RabbitMQ: an exchange that is not there (yet, or any more) means that they are dropped.
    const exchange = this.#context.findExchange(target.exchange);
    if (exchange === undefined) return;
    const { routingKey = message.routingKey } = target;
    const newKey = target.routingKey !== undefined;
    const headers = deathHeaders(message, death, newKey);
    const alsoTo = newKey ? undefined : message.alsoTo;
    const letter = message.republished({ exchange: exchange.name, routingKey, headers, alsoTo });
    const route = this.#context.route(exchange, letter);
    for (const hooks of route.hooks) if (!this.#tell(hooks, exchange, letter)) return;
    for (const queue of route.queues) {
      if (death.reason !== 'rejected' && goesRound(headers, queue.name)) continue;
      queue.enqueue(letter, NOBODY);
    }
  }

  /** False when the hooks refuse it. */
  #tell(hooks: ExchangeHooks, exchange: Exchange, letter: Message): boolean {
    if (this.#pausing.has(hooks)) return true;
    try {
      const pause = hooks.published(letter);
      if (pause !== undefined) this.#pause(hooks, exchange, pause);
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#context.warn(`a dead letter was refused by exchange '${exchange.name}': ${reason}`);
      return false;
    }
  }

  #pause(hooks: ExchangeHooks, exchange: Exchange, pause: Promise<void>): void {
    this.#pausing.add(hooks);
    this.#context.warn(
      `dead letters to exchange '${exchange.name}' stay on this node: others cannot keep up`,
    );
    const goOn = () => void this.#pausing.delete(hooks);
    pause.then(goOn, goOn);
  }
}
