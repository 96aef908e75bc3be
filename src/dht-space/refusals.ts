import type { Logger } from '../overlay/index.js';
import { RecordError } from './envelope.js';

/**
 * Why something that a peer did is refused. By anybody:
 * - `connection`: one more than its host may open in a second, or than this node takes
 * - `handshake`: who connects does not speak libp2p, or does not prove its peer id
 * - `link`: one more than this node keeps
 * - `greeting`: a control stream that does not begin as it has to, or a message stream of no session. Honest peers bring
 *   about some: other versions, sessions that have just ended
 * - `protocol`: what is no message, or none that may come there; numbers that were never given, digests that do not fit;
 *   octets that libp2p cannot read
 * - `oversize`: one message, record, list or name beyond its limit
 * - `flood`: more of what is bounded per peer or space than there may be: points, patterns, credit, members, streams, things
 *   stored
 * - `forged`: a record without its signer's signature; a provider record for another peer
 * - `foreign`: a record of another space, or under another key
 * - `clock`: a record from the future, one that would be good for too long, or its own that has run out
 * - `outdated`: older than what is known, so of no effect. Likewise: what crosses with news, what a member knows that was
 *   away
 *
 * About a space that this node is in:
 * - `claim`: another owner claims its name; the two are never merged
 *
 * About a granted one, by members or not:
 * - `lookup`: a question for the space by who shows no grant that counts
 * - `member`: a member record without one
 * - `stranger`: what only members may say or ask
 * - `attach`: taking part in a point that no grant covers
 * - `interest`: wanting more than the grant allows; messages are held back one by one
 * - `message`: publishing outside of the grant
 * - `definition`: saying what a point is, or that it is deleted, without the right
 */
export type RefusalCause =
  | 'connection'
  | 'handshake'
  | 'link'
  | 'greeting'
  | 'protocol'
  | 'oversize'
  | 'flood'
  | 'forged'
  | 'foreign'
  | 'clock'
  | 'outdated'
  | 'claim'
  | 'lookup'
  | 'member'
  | 'stranger'
  | 'attach'
  | 'interest'
  | 'message'
  | 'definition';

/** Honest peers bring these about as well. */
const ORDINARY: ReadonlySet<RefusalCause> = new Set(['greeting', 'outdated']);

/** What is logged of a refusal. */
export interface Refusal {
  /** Peer id; an address where there is none yet. */
  readonly peer: string;
  /** For people. The peer may have chosen parts of it. */
  readonly cause: string;
  readonly point?: string;
}

/** A log entry takes this much of what a peer wrote, and of a cause that may have that in it. */
const MAX_LOGGED_UNITS = 255;
const MAX_CAUSE_UNITS = 512;

/** Counts what is refused, and logs it: the first, the second, the fourth and so on, so that nobody can fill the log. */
export class Refusals {
  readonly #logger: Logger;
  readonly #space: { readonly name: string; readonly node: Refusals } | undefined;
  readonly #counts = new Map<RefusalCause, number>();

  constructor(logger: Logger, space?: { readonly name: string; readonly node: Refusals }) {
    this.#logger = logger;
    this.#space = space;
  }

  /** Those that are about one space; they count in the whole node's as well. */
  of(space: string): Refusals {
    return new Refusals(this.#logger, { name: space, node: this });
  }

  add(refused: RefusalCause, { peer, cause, point }: Refusal): void {
    const count = this.#count(refused);
    if (this.#space !== undefined) this.#space.node.#count(refused);
    if ((count & (count - 1)) !== 0) return;
    const about = { ...(this.#space && { space: this.#space.name }), ...(point !== undefined && { point }) };
    const level = ORDINARY.has(refused) ? 'info' : 'warn';
    this.#logger[level]({ ...about, refused, count, peer, cause: clipCause(cause) }, 'refused');
  }

  /** What a peer did is an error: a {@link PeerFault} counts as what it says, where it says, anything else by its kind. */
  addFault(error: unknown, peer: string): void {
    const fault = PeerFault.of(error);
    (fault.about ?? this).add(fault.refused, { peer, cause: fault.message });
  }

  count(refused: RefusalCause): number {
    return this.#counts.get(refused) ?? 0;
  }

  /** By cause; those that have not happened are left out. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  #count(refused: RefusalCause): number {
    const count = this.count(refused) + 1;
    this.#counts.set(refused, count);
    return count;
  }
}

/** A peer did what it may not. It is counted where the stream, session or request ends that it came by. */
export class PeerFault extends Error {
  override readonly name: string = 'PeerFault';
  readonly refused: RefusalCause;
  /** Where it counts; undefined: with the whole node's. */
  readonly about: Refusals | undefined;

  constructor(refused: RefusalCause, message: string, options: ErrorOptions & { about?: Refusals } = {}) {
    super(message, options);
    this.refused = refused;
    this.about = options.about;
  }

  /** Anything that was thrown over what a peer sent. */
  static of(error: unknown, about?: Refusals): PeerFault {
    if (error instanceof PeerFault && (about === undefined || error.about !== undefined)) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new PeerFault(causeOf(error), message, { cause: error, ...(about && { about }) });
  }
}

/** Of the protobuf decoder, for lists; of libp2p, for messages behind their length. */
const TOO_LARGE: ReadonlySet<string> = new Set([
  'MaxLengthError',
  'StreamBufferError',
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
]);

/** What libp2p's errors are named when the other side, or the network, just went away. */
const GONE = /EOF|Abort|Timeout|Reset|Clos|State/;
/** Node's codes of what sockets fail with. */
const SYSTEM_ERROR = /^E[A-Z]+$/;

/** Whether it failed for want of the other side, and not for what that said. */
export function wentAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return GONE.test(error.name) || ('code' in error && SYSTEM_ERROR.test(String(error.code)));
}

function causeOf(error: unknown): RefusalCause {
  if (error instanceof PeerFault) return error.refused;
  if (error instanceof RecordError) return BY_RECORD_ERROR[error.code];
  return error instanceof Error && TOO_LARGE.has(error.name) ? 'oversize' : 'protocol';
}

const BY_RECORD_ERROR: { readonly [K in RecordError['code']]: RefusalCause } = {
  malformed: 'protocol',
  'too-large': 'oversize',
  'wrong-domain': 'forged',
  'bad-signature': 'forged',
  foreign: 'foreign',
  expired: 'outdated',
  'not-yet-valid': 'clock',
  'clock-skew': 'clock',
  outdated: 'outdated',
  unsupported: 'protocol',
};

/** What a peer wrote for people, at a length that a log can take. */
export function clip(text: string): string {
  return text.slice(0, MAX_LOGGED_UNITS);
}

export function clipCause(text: string): string {
  return text.slice(0, MAX_CAUSE_UNITS);
}
