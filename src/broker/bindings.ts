import { BrokerError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { Pattern, PatternTable } from './exchange-type.js';
import { fieldKey } from './field-value.js';
import { MAX_BINDINGS } from './limits.js';
import type { Routable } from './message.js';
import type { Queue } from './queue.js';

export type Destination = Queue | Exchange;

export interface Binding {
  readonly source: Exchange;
  readonly destination: Destination;
  readonly pattern: Pattern;
  /** Source and pattern; tells the bindings of one destination apart. */
  readonly key: string;
  /** What the source's hook gave when it heard of the binding. */
  settled: Promise<void> | undefined;
}

/** The bindings of one source. In the table each is a target of its own, whatever the type takes for equal. */
interface Outgoing {
  readonly table: PatternTable<Binding>;
  readonly bindings: Set<Binding>;
}

/**
 * All bindings of a virtual host, found from both ends. A binding is identified by source, destination, routing
 * key and arguments, for every exchange type. Maps hold an end only while it has bindings.
 */
export class Bindings {
  readonly #outgoing = new Map<Exchange, Outgoing>();
  readonly #incoming = new Map<Destination, Map<string, Binding>>();
  #count = 0;
  #version = 0;

  /** Changes with every binding that comes or goes: routes computed before are out of date. */
  get version(): number {
    return this.#version;
  }

  find(source: Exchange, destination: Destination, pattern: Pattern): Binding | undefined {
    return this.#incoming.get(destination)?.get(bindingKey(source, pattern));
  }

  /** Adds a binding that was not found. */
  add(source: Exchange, destination: Destination, pattern: Pattern): Binding {
    if (this.#count >= MAX_BINDINGS) {
      const text = `cannot bind: binding limit in the vhost (${MAX_BINDINGS}) is reached`;
      throw new BrokerError('precondition-failed', text);
    }
    const key = bindingKey(source, pattern);
    const binding: Binding = { source, destination, pattern, key, settled: undefined };
    const outgoing = this.#outgoingOf(source);
    outgoing.table.add(pattern, binding);
    outgoing.bindings.add(binding);
    this.#incomingOf(destination).set(key, binding);
    this.#count++;
    this.#version++;
    return binding;
  }

  remove(binding: Binding): void {
    const { source, destination, pattern, key } = binding;
    const outgoing = this.#outgoing.get(source);
    const incoming = this.#incoming.get(destination);
    if (outgoing === undefined || incoming === undefined || !outgoing.bindings.delete(binding)) return;
    outgoing.table.remove(pattern, binding);
    if (outgoing.bindings.size === 0) this.#outgoing.delete(source);
    incoming.delete(key);
    if (incoming.size === 0) this.#incoming.delete(destination);
    this.#count--;
    this.#version++;
  }

  isSource(exchange: Exchange): boolean {
    return this.#outgoing.has(exchange);
  }

  /** The bindings with this exchange as source, as they are now. */
  from(exchange: Exchange): readonly Binding[] {
    return [...(this.#outgoing.get(exchange)?.bindings ?? [])];
  }

  /** The bindings to this destination, as they are now. */
  to(destination: Destination): readonly Binding[] {
    return [...(this.#incoming.get(destination)?.values() ?? [])];
  }

  countTo(destination: Destination): number {
    return this.#incoming.get(destination)?.size ?? 0;
  }

  /** Adds the bindings of an exchange that a message matches. */
  match(exchange: Exchange, message: Routable, found: Set<Binding>): void {
    this.#outgoing.get(exchange)?.table.match(message, found);
  }

  #outgoingOf(source: Exchange): Outgoing {
    const known = this.#outgoing.get(source);
    if (known !== undefined) return known;
    const outgoing: Outgoing = { table: source.matching.createTable(), bindings: new Set() };
    this.#outgoing.set(source, outgoing);
    return outgoing;
  }

  #incomingOf(destination: Destination): Map<string, Binding> {
    const known = this.#incoming.get(destination);
    if (known !== undefined) return known;
    const incoming = new Map<string, Binding>();
    this.#incoming.set(destination, incoming);
    return incoming;
  }
}

function bindingKey(source: Exchange, pattern: Pattern): string {
  return fieldKey([source.name, pattern.routingKey, pattern.arguments]);
}
