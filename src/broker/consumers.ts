import type { Consumer, Subscription } from './consumer.js';

/**
 * A consumer that waits is asked nothing; one that is in turn is asked when a message is there, and waits from
 * when it says no until it is woken. On standby it could take, but another one is the single active consumer.
 */
type SeatState = 'waiting' | 'in-turn' | 'standby' | 'cancelled';

/** Those of one priority that are in turn, as a ring; `first` is the next to be asked. */
interface Level {
  readonly priority: number;
  first: Seat | undefined;
  seats: number;
}

class Seat implements Subscription {
  readonly consumer: Consumer;
  readonly level: Level;
  readonly #consumers: Consumers;
  state: SeatState = 'waiting';
  previous: Seat = this;
  next: Seat = this;

  constructor(consumer: Consumer, level: Level, consumers: Consumers) {
    this.consumer = consumer;
    this.level = level;
    this.#consumers = consumers;
  }

  wake(): void {
    if (this.state === 'waiting') this.#consumers.admit(this);
  }

  cancel(): void {
    if (this.state !== 'cancelled') this.#consumers.dismiss(this);
  }
}

/** The consumers of one queue and whose turn it is. Constant time per message, however many cannot take. */
export class Consumers {
  readonly #singleActive: boolean;
  readonly #onWake: () => void;
  readonly #onLastGone: () => void;
  /** In the order in which they came. */
  readonly #seats = new Set<Seat>();
  /** Highest priority first. */
  readonly #levels: Level[] = [];
  #exclusive: Seat | undefined;
  /** The only one that gets messages, where that is asked for: the first that came, until it leaves. */
  #active: Seat | undefined;

  constructor(singleActive: boolean, onWake: () => void, onLastGone: () => void) {
    this.#singleActive = singleActive;
    this.#onWake = onWake;
    this.#onLastGone = onLastGone;
  }

  get count(): number {
    return this.#seats.size;
  }

  /** RabbitMQ: exclusive is who finds and leaves nobody else, and nobody where one of many is active. */
  admits(consumer: Consumer): boolean {
    if (this.#singleActive) return !consumer.exclusive;
    return this.#exclusive === undefined && !(consumer.exclusive && this.#seats.size > 0);
  }

  add(consumer: Consumer): Subscription {
    const level = this.#level(consumer.priority);
    const seat = new Seat(consumer, level, this);
    level.seats++;
    this.#seats.add(seat);
    if (consumer.exclusive) this.#exclusive = seat;
    if (this.#singleActive) this.#active ??= seat;
    return seat;
  }

  /** Whose turn it is: the next consumer that can take. */
  next(): Consumer | undefined {
    for (const level of this.#levels) {
      for (let seat = level.first; seat !== undefined; seat = level.first) {
        if (seat.consumer.canTake()) {
          level.first = seat.next;
          return seat.consumer;
        }
        seat.state = 'waiting';
        unlink(seat);
      }
    }
    return undefined;
  }

  /** Called by a seat: its consumer takes part in the turns, as the last. */
  admit(seat: Seat): void {
    if (this.#active !== undefined && this.#active !== seat) {
      seat.state = 'standby';
      return;
    }
    seat.state = 'in-turn';
    const first = seat.level.first;
    if (first === undefined) {
      seat.level.first = seat;
    } else {
      seat.next = first;
      seat.previous = first.previous;
      first.previous.next = seat;
      first.previous = seat;
    }
    this.#onWake();
  }

  /** Called by a seat: its consumer leaves. */
  dismiss(seat: Seat): void {
    this.#remove(seat);
    if (this.#seats.size === 0) this.#onLastGone();
    else if (this.#active === seat) this.#activateNext();
  }

  /** The queue is gone: every consumer is told. */
  cancelAll(): void {
    const seats = [...this.#seats];
    for (const seat of seats) this.#remove(seat);
    this.#active = undefined;
    for (const seat of seats) seat.consumer.cancelled();
  }

  /** RabbitMQ: the first that came among those of the highest priority. */
  #activateNext(): void {
    const [highest] = this.#levels;
    for (const seat of this.#seats) {
      if (seat.level !== highest) continue;
      this.#active = seat;
      if (seat.state === 'standby') this.admit(seat);
      return;
    }
  }

  #remove(seat: Seat): void {
    unlink(seat);
    seat.state = 'cancelled';
    this.#seats.delete(seat);
    if (this.#exclusive === seat) this.#exclusive = undefined;
    if (this.#seats.size === 0) this.#active = undefined;
    if (--seat.level.seats === 0) this.#levels.splice(this.#levels.indexOf(seat.level), 1);
  }

  #level(priority: number): Level {
    const index = this.#levels.findIndex((level) => level.priority <= priority);
    const found = this.#levels[index];
    if (found?.priority === priority) return found;
    const level: Level = { priority, first: undefined, seats: 0 };
    this.#levels.splice(index < 0 ? this.#levels.length : index, 0, level);
    return level;
  }
}

/** Takes a seat out of the ring; one that is outside stays outside. */
function unlink(seat: Seat): void {
  if (seat.level.first === seat) seat.level.first = seat.next === seat ? undefined : seat.next;
  seat.previous.next = seat.next;
  seat.next.previous = seat.previous;
  seat.previous = seat;
  seat.next = seat;
}
