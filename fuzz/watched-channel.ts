import type { Method, MethodName } from '../src/amqp-codec/index.js';
import { decodeHeader, decodeProperties } from '../src/amqp-codec/index.js';
import { ANSWERS, CARRIES_CONTENT, UNASKED } from './answers.js';

/** Thrown for what a server must not send. */
export class Fault extends Error {
  override readonly name = 'Fault';
}

/** One channel as its client sees it: knows what may come next, and finds fault with anything else. */
export class WatchedChannel {
  /** As this side has asked for it: what was asked for before may still be under way. */
  isOpen = false;
  /** Of the deliveries, the newest last. */
  readonly deliveryTags: number[] = [];
  /** What came is compared with what was asked for; no longer once nobody knows what that was. */
  blind = false;
  readonly #due: (readonly MethodName[])[] = [];
  /** As the server has told. */
  #isOpenThere = false;
  #contentBytesDue = 0;
  #headerDue = false;
  #lastTag = 0;
  #published = 0;

  get answersDue(): readonly string[] {
    return this.#due.map((names) => names.join(' or '));
  }

  /** A method has been sent. */
  asked(name: MethodName, noWait: boolean): void {
    if (name === 'channel.open') this.isOpen = true;
    if (name === 'channel.close') this.isOpen = false;
    const answers = ANSWERS[name];
    if (answers !== undefined && !noWait) this.#due.push(answers);
  }

  published(): void {
    this.#published++;
  }

  /** Takes the tag of a delivery, the newest but so many, for an acknowledgement. */
  takeTag(before: number, multiple: boolean): number | undefined {
    const at = Math.max(0, this.deliveryTags.length - 1 - before);
    return this.deliveryTags.splice(multiple ? 0 : at, multiple ? at + 1 : 1).at(-1);
  }

  /** @throws Fault */
  method(method: Method): void {
    // AMQP 0-9-1 §4.2.6: nothing comes between a method, its header and its body on a channel.
    if (this.#headerDue || this.#contentBytesDue > 0) throw new Fault(`${method.name} within content`);
    this.#headerDue = CARRIES_CONTENT.has(method.name);
    if (method.name === 'basic.deliver' || method.name === 'basic.get-ok') {
      this.#delivered(method.arguments.deliveryTag);
    }
    if (method.name === 'channel.open-ok') this.#opened();
    if (this.blind) return;
    const mayCome = this.#isOpenThere || method.name === 'channel.close-ok';
    if (!mayCome) throw new Fault(`${method.name} on a channel that is closed`);
    if (method.name === 'channel.close') this.#closed();
    if (method.name === 'basic.ack' || method.name === 'basic.nack') this.#confirms(method.arguments);
    if (UNASKED.has(method.name)) return;
    const due = this.#due.shift();
    if (method.name === 'channel.close-ok') this.#isOpenThere = false;
    if (due?.includes(method.name)) return;
    throw new Fault(`${method.name} came, due was ${due?.join(' or ') ?? 'nothing'}`);
  }

  /** @throws Fault, CodecError */
  header(payload: Buffer): void {
    if (!this.#headerDue) throw new Fault('a content header without a method');
    this.#headerDue = false;
    this.#contentBytesDue = decodeHeader(payload, 0, payload.length).bodySize;
    decodeProperties(payload, 0, payload.length);
  }

  /** @throws Fault */
  body(bytes: number): void {
    if (this.#headerDue || bytes === 0 || bytes > this.#contentBytesDue) {
      throw new Fault(`a body frame of ${bytes} octets, due were ${this.#contentBytesDue}`);
    }
    this.#contentBytesDue -= bytes;
  }

  #delivered(tag: number): void {
    if (tag !== this.#lastTag + 1) throw new Fault(`delivery tag ${tag} after ${this.#lastTag}`);
    this.#lastTag = tag;
    this.deliveryTags.push(tag);
  }

  #opened(): void {
    this.#isOpenThere = true;
    this.#lastTag = 0;
    this.deliveryTags.length = 0;
  }

  /** The server discards what it has not answered yet, but for our own wish to close, where the two have crossed. */
  #closed(): void {
    const crossing = this.#due.filter((names) => names.includes('channel.close-ok'));
    this.#due.splice(0, this.#due.length, ...crossing);
    this.isOpen = false;
    this.#isOpenThere = false;
  }

  #confirms({ deliveryTag }: { readonly deliveryTag: number }): void {
    if (deliveryTag > 0 && deliveryTag <= this.#published) return;
    throw new Fault(`publication ${deliveryTag} of ${this.#published} is confirmed`);
  }
}
