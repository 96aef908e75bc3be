import { CountedInterest } from './counted-interest.js';
import { SpaceError } from './errors.js';
import type { ExchangeType } from './exchange-type.js';
import { essentialPattern } from './interest.js';
import type { Content, OutgoingMessage } from './message.js';
import type { Pattern, PointReceiver, PointSession, PointStatus } from './space.js';

/** The calls a session makes on the point that it belongs to. */
export interface SessionHost {
  publish(from: LocalSession, message: OutgoingMessage): Promise<void> | undefined;
  /** A pattern that the session did not ask for before. */
  interestAdded(pattern: Pattern): Promise<void>;
  /** Resolves when interest that was asked for before has settled. */
  interestSettled(pattern: Pattern): Promise<void>;
  /** A pattern that the session does not ask for any more. */
  interestRemoved(pattern: Pattern): void;
  left(session: LocalSession): Promise<void>;
  delete(): Promise<void>;
  status(): Pick<PointStatus, 'participants'> & { readonly state: 'joined' | 'conflicted' };
}

type State = { readonly name: 'joined' } | { readonly name: 'left'; readonly done: Promise<void> };

/** One local alias's part in a point. */
export class LocalSession implements PointSession {
  readonly #type: ExchangeType;
  readonly #host: SessionHost;
  readonly #receiver: PointReceiver;
  readonly #interest = new CountedInterest();
  #state: State = { name: 'joined' };
  #published = 0;
  #received = 0;

  constructor(type: ExchangeType, host: SessionHost, receiver: PointReceiver) {
    this.#type = type;
    this.#host = host;
    this.#receiver = receiver;
  }

  publish(message: OutgoingMessage): Promise<void> | undefined {
    if (this.#state.name === 'left') return undefined;
    const pause = this.#host.publish(this, message);
    this.#published++;
    return pause;
  }

  async addInterest(pattern: Pattern): Promise<void> {
    if (this.#state.name === 'left') return;
    const problem = this.#type.problemWith(pattern);
    if (problem !== undefined) throw new SpaceError('invalid-argument', problem);
    const essential = essentialPattern(this.#type.name, pattern);
    await (this.#interest.add(essential)
      ? this.#host.interestAdded(essential)
      : this.#host.interestSettled(essential));
  }

  removeInterest(pattern: Pattern): void {
    if (this.#state.name === 'left') return;
    const essential = essentialPattern(this.#type.name, pattern);
    if (this.#interest.remove(essential)) this.#host.interestRemoved(essential);
  }

  status(): PointStatus {
    const counters = { published: this.#published, received: this.#received };
    if (this.#state.name === 'left') return { state: 'left', participants: [], ...counters };
    const { state, participants } = this.#host.status();
    return { state, participants, ...counters };
  }

  leave(): Promise<void> {
    if (this.#state.name === 'left') return this.#state.done;
    // First, so that whatever is called from within has no effect.
    this.#state = { name: 'left', done: Promise.resolve() };
    const done = this.#host.left(this);
    this.#state = { name: 'left', done };
    return done;
  }

  async delete(): Promise<void> {
    if (this.#state.name === 'joined') await this.#host.delete();
  }

  /** What the session asks for, each pattern once. */
  get patterns(): Iterable<Pattern> {
    return this.#interest.patterns();
  }

  deliver(content: Content): void {
    // It may have left while the message was handed round.
    if (this.#state.name === 'left') return;
    this.#received++;
    this.#receiver.receive(content);
  }

  deleted(reason: string): void {
    if (this.#state.name === 'left') return;
    this.#state = { name: 'left', done: Promise.resolve() };
    this.#receiver.deleted(reason);
  }
}
