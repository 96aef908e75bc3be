import type { Content, FieldTable, OutgoingMessage } from './message.js';

/** The four exchange types of AMQP 0-9-1 (§3.1.3), which a point can have. */
export type PointType = 'direct' | 'fanout' | 'topic' | 'headers';

/** What a binding asks for: its routing key and its arguments, read by the rules of the point's type. */
export interface Pattern {
  readonly routingKey: string;
  readonly arguments: FieldTable;
}

/** An exchange point as its participants agree on it. */
export interface PointDefinition {
  readonly name: string;
  readonly type: PointType;
  readonly arguments: FieldTable;
}

/** `settings`: the declare arguments that are the implementation's own; it checks them and names what is wrong. */
export interface SpaceDeclaration {
  readonly space: string;
  readonly settings: FieldTable;
  /** Where the space's exchange is on this node, under the space's name; undefined where no broker is involved. */
  readonly home?: { readonly virtualHost: string; readonly durable: boolean };
}

export interface JoinRequest {
  readonly space: string;
  readonly point: PointDefinition;
  readonly settings: FieldTable;
  /** An earlier start of this node was in the point: it is that one or none, where it was deleted meanwhile. */
  readonly restored?: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * A way to manage the network of a space. It is picked by the declare argument `implementation`; the node
 * holds one of each. Every promise here rejects with a {@link SpaceError}, and nothing else.
 */
export interface SpaceImplementation {
  /** The value of the declare argument `implementation` that means this one. */
  readonly name: string;
  /** Creates the space, or asserts that it exists with this owner and these settings. */
  declareSpace(declaration: SpaceDeclaration, options?: CallOptions): Promise<SpaceHandle>;
  /**
   * Joins a point of a space, defining the point where it does not exist yet. Resolves once the space was found,
   * the point's type agrees, and the participants found are linked or the time limit for that has passed.
   */
  join(request: JoinRequest, receiver: PointReceiver, options?: CallOptions): Promise<PointSession>;
  /** Leaves everything and frees all resources. What other nodes know of the spaces survives. */
  close(): Promise<void>;
}

/** What the declarer of a space holds. */
export interface SpaceHandle {
  /**
   * The space's exchange is there now. Whoever declares waits until this has settled; a rejection undoes the declare, and
   * is its answer.
   */
  opened?(): Promise<void>;
  /** Drops the local handle; the space lives on. */
  close(): Promise<void>;
  /** Deletes the space and its points everywhere if this node owns it; otherwise the same as `close`. */
  delete(): Promise<void>;
}

/** The calls an implementation makes on whoever joined. */
export interface PointReceiver {
  /**
   * A message of another participant, to be routed to local queues only. Called once per message, in the order
   * of each origin. It can be one that this receiver did not ask for, where another session of the node did or
   * interest was summarised. The content's buffer is only lent: keep a copy, not the range.
   */
  receive(content: Content): void;
  /** The point was deleted, or its space; the session is over. */
  deleted(reason: string): void;
}

/**
 * One local participant of a point, from `join` to `leave`. After that, and after the point was deleted, calls have
 * no effect: publications are dropped, promises resolve, and `status` says `left` with the last counters.
 */
export interface PointSession {
  /**
   * Sends a local publication to every other interested participant, those of this node included. Never waits:
   * the content is copied before it returns. A promise comes back where the publisher should pause until it
   * resolves; the message is taken in either case.
   *
   * @throws SpaceError `conflict` when the point lost against another definition of the same name, `too-large` when
   * the message is larger than what the space carries; then nobody gets it.
   */
  publish(message: OutgoingMessage): Promise<void> | undefined;
  /**
   * Resolves when the participants linked now have acknowledged the interest, or a time limit has passed. Equal
   * patterns are counted: as many calls of `removeInterest` end the interest.
   *
   * @throws SpaceError `invalid-argument` when the pattern is not well formed for the point's type.
   */
  addInterest(pattern: Pattern): Promise<void>;
  removeInterest(pattern: Pattern): void;
  status(): PointStatus;
  /** Leaves the point: interest and links of this session go, the point stays while it has participants. */
  leave(): Promise<void>;
  /** Deletes the point for every participant, this one included: all receivers are told. */
  delete(): Promise<void>;
}

/** A snapshot for management and tests. Counters run from the join. */
export interface PointStatus {
  /** `joining`: not yet with the others, which whoever restores a point goes on trying. */
  readonly state: 'joining' | 'joined' | 'conflicted' | 'left';
  /** The other nodes in the point. */
  readonly participants: readonly ParticipantStatus[];
  readonly published: number;
  readonly received: number;
}

export interface ParticipantStatus {
  readonly id: string;
  readonly linked: boolean;
  /** How many patterns this participant has told of. */
  readonly interest: number;
  readonly sentMessages: number;
  readonly receivedMessages: number;
  /** Accepted for the participant and not acknowledged by it. */
  readonly outboxBytes: number;
  /** Lost because the participant stalled. */
  readonly droppedMessages: number;
}
