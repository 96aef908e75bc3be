import type { Consumer, Subscription } from './consumer.js';

/**
 * A consumer that waits is asked nothing; one that is in turn is asked when a message is there, and waits from
 * when it says no until it is woken.
 */
type SeatState = 'waiting' | 'in-turn' | 'cancelled';

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
  readonly #onWake: () => void;
  readonly #onLastGone: () => void;
  readonly #seats = new Set<Seat>();
  /** Highest priority first. */
  readonly #levels: Level[] = [];
  #exclusive: Seat | undefined;

  constructor(onWake: () => void, onLastGone: () => void) {
    this.#onWake = onWake;
    this.#onLastGone = onLastGone;
  }

  get count(): number {
    return this.#seats.size;
  }

  /** Whether an exclusive consumer is here. */
  get exclusive(): boolean {
    return this.#exclusive !== undefined;
  }

  add(consumer: Consumer): Subscription {
    const level = this.#level(consumer.priority);
    const seat = new Seat(consumer, level, this);
    level.seats++;
    this.#seats.add(seat);
    if (consumer.exclusive) this.#exclusive = seat;
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
  }

  /** The queue is gone: every consumer is told. */
  cancelAll(): void {
    const seats = [...this.#seats];
    for (const seat of seats) this.#remove(seat);
    for (const seat of seats) seat.consumer.cancelled();
  }

  #remove(seat: Seat): void {
    unlink(seat);
    seat.state = 'cancelled';
    this.#seats.delete(seat);
    if (this.#exclusive === seat) this.#exclusive = undefined;
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
