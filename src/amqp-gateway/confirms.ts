import { methodFrame } from '../amqp-codec/index.js';
import type { Connection } from './connection.js';

/** Publications up to a tag, back to where the range before ends, that are safe once a group is synced. */
interface Range {
  upTo: number;
  readonly group: number;
}

/**
 * What a confirming channel's publications still wait for. They are confirmed in order, all that can be with one method;
 * those that a queue refused are told at once. A group of the store is one range, however many messages it has.
 */
export class Confirms {
  readonly #channel: number;
  readonly #connection: Connection;
  #published = 0;
  /** Everything up to here was confirmed or refused. */
  #told = 0;
  /** In order; of rising groups. */
  readonly #waiting: Range[] = [];
  /** `soon`: at the end of this turn. */
  #state: 'idle' | 'soon' = 'idle';

  constructor(channel: number, connection: Connection) {
    this.#channel = channel;
    this.#connection = connection;
  }

  /** The next publication was taken; it is safe once this group is synced, 0: it is already. */
  taken(group: number): void {
    const tag = ++this.#published;
    const last = this.#waiting.at(-1);
    if (last !== undefined && group <= last.group) last.upTo = tag;
    else this.#waiting.push({ upTo: tag, group });
    this.synced();
  }

  /** The next publication was not taken. */
  refused(): void {
    this.confirm();
    const tag = ++this.#published;
    if (this.#told === tag - 1) this.#told = tag;
    const nack = { deliveryTag: tag, multiple: false, requeue: false };
    this.#connection.output.frame(methodFrame(this.#channel, 'basic.nack', nack));
  }

  /** Groups may have been synced: what can be confirmed then is, at the end of this turn. */
  synced(): void {
    if (this.#state === 'soon') return;
    const [first] = this.#waiting;
    if (first === undefined) return;
    if (this.#isSafe(first)) {
      this.#state = 'soon';
      this.#connection.confirmsSoon(this);
    } else this.#connection.services.unsynced.add(this);
  }

  /** Confirms what can be. */
  confirm(): void {
    this.#state = 'idle';
    let upTo = 0;
    for (let first = this.#waiting[0]; first !== undefined && this.#isSafe(first); first = this.#waiting[0]) {
      upTo = first.upTo;
      this.#waiting.shift();
    }
    if (this.#waiting.length > 0) this.#connection.services.unsynced.add(this);
    else this.#connection.services.unsynced.delete(this);
    if (upTo === 0) return;
    const multiple = upTo - this.#told > 1;
    this.#told = upTo;
    const ack = methodFrame(this.#channel, 'basic.ack', { deliveryTag: upTo, multiple });
    this.#connection.output.frame(ack);
  }

  /** The channel is over: what is safe is confirmed, and nothing later. */
  release(): void {
    this.confirm();
    this.#connection.services.unsynced.delete(this);
    this.#waiting.length = 0;
  }

  #isSafe({ group }: Range): boolean {
    return group <= (this.#connection.services.commit?.synced ?? group);
  }
}
