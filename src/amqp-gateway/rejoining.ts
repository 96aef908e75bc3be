import type {
  Logger,
  OutgoingMessage,
  Pattern,
  PointSession,
  PointStatus,
  SpaceHandle,
} from '../overlay/index.js';
import { equalTables, SpaceError } from '../overlay/index.js';
import { inBackground } from './in-background.js';

type State =
  /** What is wanted by then. */
  | { readonly name: 'joining'; readonly interest: Pattern[] }
  | { readonly name: 'joined'; readonly session: PointSession }
  | { readonly name: 'left' };

/**
 * A session of a point that is joined in the background, for as long as that takes: a restored alias works for its own
 * node meanwhile, and reaches nobody else.
 */
export class RejoiningSession implements PointSession {
  readonly #giveUp = new AbortController();
  /** A binding of before that is not granted any more stays, and brings nothing from elsewhere. */
  readonly #refused: (err: unknown) => void;
  #state: State = { name: 'joining', interest: [] };

  constructor(join: (signal: AbortSignal) => Promise<PointSession>, exchange: string, logger: Logger) {
    const { signal } = this.#giveUp;
    this.#refused = (err) => logger.warn({ err, exchange }, 'a binding gets nothing from other nodes');
    const what = `joining the point of alias '${exchange}'`;
    void inBackground(() => join(signal), { signal, logger, what }).then((session) => {
      if (session === undefined) return;
      if (this.#state.name === 'joining') this.#joined(session, this.#state.interest);
      else
        session.leave().catch((err: unknown) => logger.error({ err, exchange }, 'could not leave cleanly'));
    });
  }

  publish(message: OutgoingMessage): Promise<void> | undefined {
    return this.#state.name === 'joined' ? this.#state.session.publish(message) : undefined;
  }

  addInterest(pattern: Pattern): Promise<void> {
    if (this.#state.name === 'joined') return this.#state.session.addInterest(pattern);
    if (this.#state.name === 'joining') this.#state.interest.push(pattern);
    return Promise.resolve();
  }

  removeInterest(pattern: Pattern): void {
    if (this.#state.name === 'joined') this.#state.session.removeInterest(pattern);
    if (this.#state.name !== 'joining') return;
    const at = this.#state.interest.findIndex((one) => equalPatterns(one, pattern));
    if (at >= 0) this.#state.interest.splice(at, 1);
  }

  status(): PointStatus {
    if (this.#state.name === 'joined') return this.#state.session.status();
    return { state: this.#state.name, participants: [], published: 0, received: 0 };
  }

  async leave(): Promise<void> {
    const before = this.#state;
    this.#state = { name: 'left' };
    this.#giveUp.abort();
    if (before.name === 'joined') await before.session.leave();
  }

  async delete(): Promise<void> {
    if (this.#state.name === 'joining') throw new SpaceError('not-found', 'the point is not joined yet');
    if (this.#state.name === 'joined') await this.#state.session.delete();
  }

  #joined(session: PointSession, interest: readonly Pattern[]): void {
    this.#state = { name: 'joined', session };
    // Nobody waits for them: they were answered long ago.
    for (const pattern of interest) session.addInterest(pattern).catch(this.#refused);
  }
}

/** A space that is declared in the background, likewise. */
export class RedeclaringHandle implements SpaceHandle {
  readonly #giveUp = new AbortController();
  #state:
    | { readonly name: 'declaring' | 'over' }
    | { readonly name: 'declared'; readonly handle: SpaceHandle } = { name: 'declaring' };

  constructor(declare: (signal: AbortSignal) => Promise<SpaceHandle>, space: string, logger: Logger) {
    const { signal } = this.#giveUp;
    const what = `declaring exchange space '${space}'`;
    void inBackground(() => declare(signal), { signal, logger, what }).then((handle) => {
      if (handle === undefined) return;
      if (this.#state.name === 'declaring') this.#state = { name: 'declared', handle };
      else handle.close().catch((err: unknown) => logger.error({ err, space }, 'could not leave cleanly'));
    });
  }

  async close(): Promise<void> {
    await this.#end()?.close();
  }

  async delete(): Promise<void> {
    await this.#end()?.delete();
  }

  #end(): SpaceHandle | undefined {
    const before = this.#state;
    this.#state = { name: 'over' };
    this.#giveUp.abort();
    return before.name === 'declared' ? before.handle : undefined;
  }
}

function equalPatterns(one: Pattern, other: Pattern): boolean {
  return one.routingKey === other.routingKey && equalTables(one.arguments, other.arguments);
}
