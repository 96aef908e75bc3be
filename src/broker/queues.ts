import { assertEquivalent } from './equivalence.js';
import { BrokerError, describe } from './errors.js';
import { MAX_QUEUES } from './limits.js';
import { assertNotReserved } from './names.js';
import type { Owner, QueueContext, QueueSpec } from './queue.js';
import { Queue } from './queue.js';
import { assertSameArguments, readArguments } from './queue-arguments.js';
import type { Storage } from './storage.js';

/** The queues of a virtual host, by name and by owner. */
export class Queues {
  readonly #context: QueueContext;
  readonly #storage: Storage | undefined;
  readonly #queues = new Map<string, Queue>();
  readonly #owned = new Map<Owner, Set<Queue>>();

  constructor(context: QueueContext, storage: Storage | undefined) {
    this.#context = context;
    this.#storage = storage;
  }

  find(name: string): Queue | undefined {
    return this.#queues.get(name);
  }

  /** @throws BrokerError `not-found`, or `resource-locked` when it is exclusive to another owner. */
  get(name: string, owner: Owner): Queue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new BrokerError('not-found', `no ${this.#label(name)}`);
    this.assertAccess(queue, owner);
    return queue;
  }

  /** @throws BrokerError `resource-locked` when the queue is exclusive to another owner. */
  assertAccess(queue: Queue, owner: Owner): void {
    if (queue.owner !== undefined && queue.owner !== owner) throw this.#locked(queue);
  }

  /** `generatedName`: for a queue that is given none. */
  declare(name: string, spec: QueueSpec, declarer: Owner, generatedName: string): Queue {
    const owner = spec.exclusive ? declarer : undefined;
    // RabbitMQ: what goes with its connection is not durable, whatever was asked for.
    const durable = spec.durable && !spec.exclusive;
    // Unlike an exchange's, a queue's reserved name is refused even where a queue has it.
    if (name !== '') assertNotReserved('queue', name);
    const existing = this.#queues.get(name);
    if (existing !== undefined) {
      this.#assertEquivalent(existing, { ...spec, durable }, owner);
      existing.used();
      return existing;
    }
    return this.#add(name === '' ? generatedName : name, { ...spec, durable }, owner);
  }

  /** A durable queue that was there before the node stopped. */
  recover(name: string, spec: QueueSpec, storageId: number): Queue {
    return this.#add(name, spec, undefined, storageId);
  }

  /** False when it was gone already. */
  remove(queue: Queue): boolean {
    if (this.#queues.get(queue.name) !== queue) return false;
    this.#queues.delete(queue.name);
    if (queue.owner !== undefined) {
      const owned = this.#ownedBy(queue.owner);
      owned.delete(queue);
      if (owned.size === 0) this.#owned.delete(queue.owner);
    }
    return true;
  }

  /** As they are now. */
  all(): readonly Queue[] {
    return [...this.#queues.values()];
  }

  /** The exclusive queues of an owner, as they are now. */
  of(owner: Owner): readonly Queue[] {
    return [...(this.#owned.get(owner) ?? [])];
  }

  #add(name: string, spec: QueueSpec, owner: Owner | undefined, storageId?: number): Queue {
    const features = readArguments(this.#label(name), spec.arguments);
    if (this.#queues.size >= MAX_QUEUES) {
      const limit = `queue limit in vhost '${this.#context.virtualHost}' (${MAX_QUEUES}) is reached`;
      throw new BrokerError('precondition-failed', `cannot declare queue '${name}': ${limit}`);
    }
    const storage = spec.durable ? this.#storage : undefined;
    const stored = storage && { storage, id: storageId ?? storage.nextQueueId() };
    const queue = new Queue(name, spec, { owner, features, stored }, this.#context);
    this.#queues.set(name, queue);
    if (owner !== undefined) this.#ownedBy(owner).add(queue);
    return queue;
  }

  #ownedBy(owner: Owner): Set<Queue> {
    const owned = this.#owned.get(owner) ?? new Set();
    this.#owned.set(owner, owned);
    return owned;
  }

  #assertEquivalent(existing: Queue, spec: QueueSpec, owner: Owner | undefined): void {
    // Stricter than access: the exclusive flag has to agree as well.
    if (existing.owner !== owner) throw this.#locked(existing);
    const label = this.#label(existing.name);
    assertEquivalent(label, 'durable', spec.durable, existing.durable);
    assertEquivalent(label, 'auto_delete', spec.autoDelete, existing.autoDelete);
    assertSameArguments(label, spec.arguments, existing.arguments);
  }

  #locked(queue: Queue): BrokerError {
    const hint =
      'It could be originally declared on another connection or the exclusive property value does not match that ' +
      'of the original declaration.';
    const text = `cannot obtain exclusive access to locked ${this.#label(queue.name)}. ${hint}`;
    return new BrokerError('resource-locked', text);
  }

  #label(name: string): string {
    return describe('queue', name, this.#context.virtualHost);
  }
}
