import { leavingMessage } from '../amqp-gateway/index.js';
import type { Exchange, Queue, VirtualHost } from '../broker/index.js';
import type { Logger, OutgoingMessage, PointType } from '../overlay/index.js';
import type { Outlet, OutletReader } from '../prototype-space/index.js';
import { MAX_QUEUES_PER_RELAY, MESSAGE_OVERHEAD_BYTES } from './limits.js';
import type { OutletLimits } from './relay-queue.js';
import { RelayQueue } from './relay-queue.js';

/** Publishers pause. */
interface Pause {
  readonly over: Promise<void>;
  readonly resume: () => void;
  readonly timer: NodeJS.Timeout;
}

/** What outlets share. */
export interface OutletContext {
  readonly virtualHost: VirtualHost;
  readonly limits: OutletLimits;
  readonly logger: Logger;
}

interface OutletOptions {
  readonly member: string;
  readonly number: number;
  readonly type: PointType;
  /** A relay began to consume, or stopped. */
  readonly changed: () => void;
  readonly closed: () => void;
}

const TRANSIENT = { durable: false, autoDelete: false, internal: false, arguments: {} };
const NO_PATTERN = { routingKey: '', arguments: {} };
const NO_QUEUES: readonly RelayQueue[] = [];

/**
 * An outlet is two exchanges: what is published comes to `everything`, and goes on to `exchange`. A queue that is bound to
 * both gets it once.
 *
 *     publish ──▶ everything (fanout) ──▶ queues of relays that want all of it
 *                        └──────▶ exchange (the point's type) ──▶ queues of relays by their interest
 */
export class NodeOutlet implements Outlet {
  readonly number: number;
  readonly exchange: string;
  readonly everything: string;
  readonly #context: OutletContext;
  readonly #options: OutletOptions;
  readonly #entry: Exchange;
  /** By relay, the newest last. */
  readonly #queues = new Map<string, readonly RelayQueue[]>();
  #state: 'open' | 'closed' = 'open';
  #uncheckedBytes = 0;
  #pause: Pause | undefined;

  constructor(options: OutletOptions, context: OutletContext) {
    const { member, number, type } = options;
    this.number = number;
    this.exchange = `${member}.x.${number}`;
    this.everything = `${this.exchange}.all`;
    this.#context = context;
    this.#options = options;
    const { virtualHost } = context;
    virtualHost.declareExchange(this.exchange, { ...TRANSIENT, type });
    this.#entry = virtualHost.declareExchange(this.everything, { ...TRANSIENT, type: 'fanout' });
    void virtualHost.bindExchange({
      source: this.everything,
      destination: this.exchange,
      pattern: NO_PATTERN,
    });
  }

  publish(message: OutgoingMessage): Promise<void> | undefined {
    if (this.#state === 'closed') return undefined;
    const leaving = leavingMessage(message, this.exchange);
    this.#context.virtualHost.routeRemote(this.#entry, leaving);
    this.#uncheckedBytes += leaving.sizeBytes + MESSAGE_OVERHEAD_BYTES;
    if (this.#uncheckedBytes >= this.#context.limits.checkBytes) this.#check();
    return this.#pause?.over;
  }

  reader(relay: string): OutletReader | undefined {
    const found = (this.#queues.get(relay) ?? NO_QUEUES).findLast(({ queue }) => queue.consumerCount > 0);
    if (found === undefined) return undefined;
    const { queue, droppedMessages } = found;
    const bindings = this.#context.virtualHost.bindingCount(queue);
    return { bindings, messages: queue.enqueuedCount, bytes: queue.readyBytes, droppedMessages };
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const { virtualHost } = this.#context;
    for (const name of [this.everything, this.exchange])
      virtualHost.deleteExchange(name, { ifUnused: false });
    for (const { queue } of [...this.#queues.values()].flat()) {
      virtualHost.deleteQueue(queue.name, { ifUnused: false, ifEmpty: false }, queue.owner ?? this);
    }
    this.#queues.clear();
    this.#resume();
    this.#options.closed();
  }

  hasRoomFor(relay: string): boolean {
    return (this.#queues.get(relay) ?? NO_QUEUES).length < MAX_QUEUES_PER_RELAY;
  }

  queueDeclared(relay: string, queue: Queue): void {
    const { limits, logger } = this.#context;
    const stalled = ({ droppedMessages }: RelayQueue) =>
      logger.warn(
        { relay, outlet: this.exchange, droppedMessages },
        `a member takes nothing for ${limits.stallMs} ms: what waited for it is dropped`,
      );
    const added = new RelayQueue(queue, limits, stalled);
    this.#queues.set(relay, [...(this.#queues.get(relay) ?? NO_QUEUES), added]);
  }

  queueDeleted(relay: string, queue: Queue): void {
    const rest = (this.#queues.get(relay) ?? NO_QUEUES).filter((one) => one.queue !== queue);
    if (rest.length > 0) this.#queues.set(relay, rest);
    else this.#queues.delete(relay);
    this.consumersChanged();
  }

  consumersChanged(): void {
    // Later: who hears of it may call the broker, which is in the middle of something.
    queueMicrotask(() => {
      if (this.#state === 'open') this.#options.changed();
    });
  }

  #check(): void {
    this.#uncheckedBytes = 0;
    const nowMs = performance.now();
    let mustPause = false;
    for (const queues of this.#queues.values()) {
      for (const queue of queues) if (queue.check(nowMs)) mustPause = true;
    }
    if (!mustPause) this.#resume();
    else this.#pause ??= pause(() => this.#check(), this.#context.limits.pollMs);
  }

  #resume(): void {
    if (this.#pause === undefined) return;
    clearInterval(this.#pause.timer);
    this.#pause.resume();
    this.#pause = undefined;
  }
}

function pause(check: () => void, pollMs: number): Pause {
  let resume = () => {};
  const over = new Promise<void>((resolve) => {
    resume = resolve;
  });
  return { over, resume, timer: setInterval(check, pollMs) };
}
