import { CountedInterest } from './counted-interest.js';
import { SpaceError } from './errors.js';
import type { ExchangeType } from './exchange-type.js';
import { exchangeType } from './exchange-types.js';
import { patternKey } from './interest.js';
import type { SessionHost } from './local-session.js';
import { LocalSession } from './local-session.js';
import type { Content, OutgoingMessage } from './message.js';
import type { Pattern, PointDefinition, PointReceiver, PointSession, PointStatus } from './space.js';

/** What an implementation does for the point beyond its own node. */
export interface Outward {
  /** A publication of this node, for the interested nodes; as {@link PointSession.publish}. */
  publish(message: OutgoingMessage): Promise<void> | undefined;
  /** A pattern that nobody of this node asked for before. Resolves when the interest has settled. */
  interestAdded(pattern: Pattern): Promise<void>;
  /** A pattern that nobody of this node asks for any more. */
  interestRemoved(pattern: Pattern): void;
  /** The last session has left. All interest is gone with it, without a call for each pattern. */
  left(): Promise<void>;
  /** Deletes the point for all other nodes. */
  delete(): Promise<void>;
  /** The other nodes in the point. State and counters are the session's own. */
  status(): Pick<PointStatus, 'participants'>;
}

type State =
  | { readonly name: 'joined' }
  | { readonly name: 'conflicted'; readonly reason: string }
  /** The point was deleted, or the last session has left. */
  | { readonly name: 'over'; readonly reason: string };

const SETTLED: Promise<void> = Promise.resolve();

/**
 * All that one node has of one point: a session for each local alias. To each other these are participants like
 * any; to other nodes they are one, which wants what any of them wants.
 *
 * ```
 *   publish ──▶ every other session, and outward      never back to where it came from
 *   receive ──▶ every session                         never outward: links are a full mesh, so nothing loops
 * ```
 *
 * Sessions may get what only another one of the node asked for: each routes by its own bindings anyway. When the
 * last session has left, or the point was deleted, this object is done with: who joins next needs a new one.
 */
export class LocalPoint {
  readonly definition: PointDefinition;
  readonly #type: ExchangeType;
  readonly #outward: Outward;
  readonly #host: SessionHost;
  readonly #interest = new CountedInterest();
  /** Interest on its way: whoever asks for the same pattern meanwhile waits for the same answer. */
  readonly #settling = new Map<string, Promise<void>>();
  /** Replaced, never changed: sessions can come and go while a message is handed round. */
  #sessions: readonly LocalSession[] = [];
  #state: State = { name: 'joined' };

  constructor(definition: PointDefinition, outward: Outward) {
    this.definition = definition;
    this.#type = exchangeType(definition.type);
    this.#outward = outward;
    this.#host = {
      publish: (from, message) => this.#publish(from, message),
      interestAdded: (pattern) => this.#interestAdded(pattern),
      interestSettled: (pattern) => this.#settling.get(patternKey(pattern)) ?? SETTLED,
      interestRemoved: (pattern) => this.#interestRemoved(pattern),
      left: (session) => this.#left(session),
      delete: () => this.#delete(),
      status: () => this.#status(),
    };
  }

  get sessions(): number {
    return this.#sessions.length;
  }

  /**
   * @throws SpaceError `conflict` when the point is conflicted, `not-found` when it was deleted or left by all
   */
  join(receiver: PointReceiver): PointSession {
    this.#assertJoined();
    const session = new LocalSession(this.#type, this.#host, receiver);
    this.#sessions = [...this.#sessions, session];
    return session;
  }

  /** A message of another node, not seen before. */
  receive(content: Content): void {
    if (this.#state.name !== 'joined') return;
    for (const session of this.#sessions) session.deliver(content);
  }

  /**
   * Another definition of the same name has won: this node takes no part in traffic any more, and publishing
   * fails.
   */
  conflicted(reason: string): void {
    if (this.#state.name === 'joined') this.#state = { name: 'conflicted', reason };
  }

  /** The point or its space was deleted. Ends all sessions; nothing is called outward. */
  deleted(reason: string): void {
    if (this.#state.name === 'over') return;
    const sessions = this.#sessions;
    this.#end(reason);
    for (const session of sessions) session.deleted(reason);
  }

  /** Every session leaves, for a node that shuts down. */
  async leave(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.leave()));
  }

  #publish(from: LocalSession, message: OutgoingMessage): Promise<void> | undefined {
    this.#assertJoined();
    // First, because what is refused there goes nowhere.
    const pause = this.#outward.publish(message);
    if (this.#sessions.length > 1) {
      for (const session of this.#sessions) if (session !== from) session.deliver(message);
    }
    return pause;
  }

  #interestAdded(pattern: Pattern): Promise<void> {
    const key = patternKey(pattern);
    const isNews = this.#interest.add(pattern);
    if (!isNews || this.#state.name !== 'joined') return this.#settling.get(key) ?? SETTLED;
    const settled = this.#outward.interestAdded(pattern);
    this.#settling.set(key, settled);
    const forget = (): void => {
      // Unless the pattern was removed and added again meanwhile.
      if (this.#settling.get(key) === settled) this.#settling.delete(key);
    };
    settled.then(forget, forget);
    return settled;
  }

  #interestRemoved(pattern: Pattern): void {
    const isNews = this.#interest.remove(pattern);
    if (isNews && this.#state.name === 'joined') this.#outward.interestRemoved(pattern);
  }

  #left(session: LocalSession): Promise<void> {
    if (this.#sessions.length === 1) {
      this.#end(`exchange point '${this.definition.name}' was left`);
      return this.#outward.left();
    }
    this.#sessions = this.#sessions.filter((other) => other !== session);
    for (const pattern of session.patterns) this.#interestRemoved(pattern);
    return SETTLED;
  }

  async #delete(): Promise<void> {
    this.#assertJoined();
    await this.#outward.delete();
    this.deleted(`exchange point '${this.definition.name}' was deleted`);
  }

  #status(): ReturnType<SessionHost['status']> {
    const state = this.#state.name === 'joined' ? 'joined' : 'conflicted';
    return { state, participants: this.#outward.status().participants };
  }

  #assertJoined(): void {
    if (this.#state.name === 'joined') return;
    throw new SpaceError(this.#state.name === 'conflicted' ? 'conflict' : 'not-found', this.#state.reason);
  }

  #end(reason: string): void {
    this.#state = { name: 'over', reason };
    this.#sessions = [];
    this.#settling.clear();
  }
}
