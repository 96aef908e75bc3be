import type {
  Consumer,
  ExchangeType,
  FieldTable,
  Message,
  Pattern,
  PatternTable,
  Publisher,
  Queue,
  QueueEntry,
  QueueSpec,
  Subscription,
  VirtualHost,
} from '../../src/broker/index.js';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';

export const MESSAGE_BYTES = 100;

/** What a test message may have beside its text. */
export interface TestProperties {
  readonly headers?: FieldTable;
  readonly persistent?: boolean;
  readonly priority?: number;
  readonly expirationMs?: number;
  readonly alsoTo?: readonly string[] | undefined;
}

/** A message whose body is its text. */
export class TextMessage implements Message {
  readonly exchange: string;
  readonly routingKey: string;
  readonly text: string;
  readonly sizeBytes = MESSAGE_BYTES;
  readonly persistent: boolean;
  readonly priority: number;
  readonly expirationMs: number | undefined;
  readonly alsoTo: readonly string[] | undefined;
  holders = 0;
  retained = 0;
  readonly #headers: FieldTable;

  constructor(exchange: string, routingKey: string, text: string, properties: TestProperties = {}) {
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.text = text;
    this.persistent = properties.persistent ?? false;
    this.priority = properties.priority ?? 0;
    this.expirationMs = properties.expirationMs;
    const { CC = [], BCC = [], ...headers } = properties.headers ?? {};
    this.#headers = Array.isArray(CC) && CC.length > 0 ? { ...headers, CC } : headers;
    const keys = [CC, BCC].flat().filter((key) => typeof key === 'string');
    this.alsoTo = properties.alsoTo ?? (keys.length > 0 ? keys : undefined);
  }

  get bodyBytes(): number {
    return this.text.length;
  }

  headers(): FieldTable {
    return this.#headers;
  }

  retain(): void {
    this.retained++;
  }

  republished(to: Parameters<Message['republished']>[0]): TextMessage {
    const { persistent, priority } = this;
    const { headers, alsoTo } = to;
    return new TextMessage(to.exchange, to.routingKey, this.text, { headers, alsoTo, persistent, priority });
  }
}

export interface Delivery {
  readonly text: string;
  readonly redelivered: boolean;
  readonly entry: QueueEntry | undefined;
}

interface TestConsumerOptions {
  readonly tag?: string;
  readonly noAck?: boolean;
  readonly exclusive?: boolean;
  readonly priority?: number;
  readonly room?: number;
  readonly onDeliver?: (delivery: Delivery) => void;
}

/** Writes down what it gets. It can take while it has room, and what it takes uses the room up. */
export class TestConsumer implements Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly deliveries: Delivery[] = [];
  room: number;
  cancellations = 0;
  readonly #onDeliver: ((delivery: Delivery) => void) | undefined;

  constructor(options: TestConsumerOptions = {}) {
    this.tag = options.tag ?? 'c';
    this.noAck = options.noAck ?? false;
    this.exclusive = options.exclusive ?? false;
    this.priority = options.priority ?? 0;
    this.room = options.room ?? Number.POSITIVE_INFINITY;
    this.#onDeliver = options.onDeliver;
  }

  get texts(): string[] {
    return this.deliveries.map((delivery) => delivery.text);
  }

  /** The entries it was handed, those settled since included. */
  get entries(): QueueEntry[] {
    return this.deliveries.flatMap((delivery) => delivery.entry ?? []);
  }

  canTake(): boolean {
    return this.room > 0;
  }

  deliver(message: Message, redelivered: boolean, entry: QueueEntry | undefined): void {
    this.room--;
    const delivery = { text: textOf(message), redelivered, entry };
    this.deliveries.push(delivery);
    this.#onDeliver?.(delivery);
  }

  cancelled(): void {
    this.cancellations++;
  }
}

/** One connection with its virtual host, and short forms of what a client does. */
export class TestClient implements Publisher {
  readonly host: VirtualHost;
  readonly pauses: Promise<void>[] = [];
  /** The groups that hold what it published. */
  readonly groups: number[] = [];
  refusals = 0;

  constructor(host: VirtualHost) {
    this.host = host;
  }

  queue(name: string, spec: Partial<QueueSpec> = {}): Queue {
    const transient = { durable: false, exclusive: false, autoDelete: false, arguments: {} };
    return this.host.declareQueue(name, { ...transient, ...spec }, this);
  }

  bind(queue: string, exchange: string, routingKey = '', args: FieldTable = {}): Promise<void> | undefined {
    return this.host.bindQueue({ queue, exchange, pattern: pattern(routingKey, args) }, this);
  }

  unbind(queue: string, exchange: string, routingKey = '', args: FieldTable = {}): void {
    this.host.unbindQueue({ queue, exchange, pattern: pattern(routingKey, args) }, this);
  }

  bindExchange(destination: string, source: string, routingKey = ''): Promise<void> | undefined {
    return this.host.bindExchange({ destination, source, pattern: pattern(routingKey) });
  }

  unbindExchange(destination: string, source: string, routingKey = ''): void {
    this.host.unbindExchange({ destination, source, pattern: pattern(routingKey) });
  }

  exchange(name: string, type: string, flags: { autoDelete?: boolean; internal?: boolean } = {}): void {
    this.host.declareExchange(name, exchangeSpec({ type, ...flags }));
  }

  publish(exchange: string, routingKey: string, text: string, properties: TestProperties = {}): number {
    const message = new TextMessage(exchange, routingKey, text, properties);
    return this.host.publish(this.host.exchange(exchange), message, this);
  }

  /** To one queue, by way of the default exchange. */
  send(queue: string, ...texts: string[]): void {
    for (const text of texts) this.publish('', queue, text);
  }

  consume(queue: string, consumer: TestConsumer): Subscription {
    const subscription = this.host.queue(queue, this).consume(consumer);
    subscription.wake();
    return subscription;
  }

  deleteQueue(name: string, options: { ifUnused?: boolean; ifEmpty?: boolean } = {}): number {
    return this.host.deleteQueue(name, { ifUnused: false, ifEmpty: false, ...options }, this);
  }

  deleteExchange(name: string, options: { ifUnused?: boolean } = {}): void {
    this.host.deleteExchange(name, { ifUnused: false, ...options });
  }

  slowDown(until: Promise<void>): void {
    this.pauses.push(until);
  }

  refused(): void {
    this.refusals++;
  }

  storing(group: number): void {
    this.groups.push(group);
  }
}

interface TestBroker {
  readonly broker: Broker;
  readonly host: VirtualHost;
  readonly client: TestClient;
  readonly memory: MemoryAccount;
}

export function createBroker(
  types: readonly ExchangeType[] = exchangeTypes,
  options: Partial<ConstructorParameters<typeof Broker>[0]> = {},
): TestBroker {
  const memory = new MemoryAccount({
    limitBytes: Number.MAX_SAFE_INTEGER,
    limitEntries: Number.MAX_SAFE_INTEGER,
  });
  const broker = new Broker({ exchangeTypes: types, memory, ...options });
  const host = broker.virtualHost('/');
  if (host === undefined) throw new Error("no virtual host '/'");
  return { broker, host, client: new TestClient(host), memory };
}

/** A client of a broker whose exchange types count how often a message was matched with bindings. */
export function createCountingClient(): { client: TestClient; matches: () => number } {
  let matches = 0;
  const counting = exchangeTypes.map(
    (type): ExchangeType => ({
      ...type,
      createTable: <T>(): PatternTable<T> => {
        const table = type.createTable<T>();
        return {
          add: (pattern, target) => table.add(pattern, target),
          remove: (pattern, target) => table.remove(pattern, target),
          match: (message, found) => {
            matches++;
            table.match(message, found);
          },
        };
      },
    }),
  );
  return { client: createBroker(counting).client, matches: () => matches };
}

export function exchangeSpec(spec: { type: string; autoDelete?: boolean; internal?: boolean }) {
  return { durable: false, autoDelete: false, internal: false, arguments: {}, ...spec };
}

export function pattern(routingKey: string, args: FieldTable = {}): Pattern {
  return { routingKey, arguments: args };
}

export function textOf(message: Message): string {
  if (message instanceof TextMessage) return message.text;
  throw new Error('not a message of this test');
}

/** Takes what is next, which has to be in memory. */
export function take(queue: Queue, noAck = false): QueueEntry | undefined {
  const entry = queue.get(noAck);
  if (entry instanceof Promise) throw new Error('it has to be read from the store first');
  return entry;
}

/** Takes everything that is ready off a queue. */
export function drain(queue: Queue): string[] {
  const texts: string[] = [];
  for (let entry = take(queue, true); entry !== undefined; entry = take(queue, true))
    texts.push(textOf(entry.message));
  return texts;
}

/** The code and the text with which a call is refused. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('the call was not refused');
}

export const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Numbers from 0 up to `below`, the same for the same seed (mulberry32). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
