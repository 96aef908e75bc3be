import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { backoffMs } from './backoff.js';
import type { KnownMember } from './known-spaces.js';
import { DIAL_TIMEOUT_MS, SEED_GRACE_MS, SEED_PATIENCE_MS, SUSPECT_TIMEOUT_MS } from './limits.js';
import type { OverlayNode } from './node.js';
import { timeLimit } from './time-limit.js';

/** What came of dialling a seed: the peer id that answered, or why nobody did. */
type Outcome = { readonly peer: string } | { readonly error: unknown };

type SeedState =
  | { readonly is: 'dialling'; readonly outcome: Promise<Outcome> }
  | { readonly is: 'reached'; readonly peer: string }
  | { readonly is: 'waiting'; readonly timer: NodeJS.Timeout; readonly error: unknown }
  | { readonly is: 'self' };

interface Seed {
  readonly address: Multiaddr;
  /** Aborts when nobody needs the seed any more: a late answer finds it aborted and is dropped. */
  readonly gone: AbortController;
  uses: number;
  /** Failures in a row. */
  failures: number;
  state: SeedState;
}

export interface SeedJoinOptions {
  readonly signal?: AbortSignal | undefined;
  /** Members known from before, who are dialled once, beside the seeds. */
  readonly known?: readonly KnownMember[];
  /** To reach nobody is right where no seeds are given: this node founds the overlay. */
  readonly mayFound?: boolean;
}

/** Dials seeds: at first for whoever joins, then in the background for as long as a space needs them. */
export class SeedDialer {
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #random: () => number;
  readonly #seeds = new Map<string, Seed>();
  readonly #stopped = new AbortController();

  constructor(
    node: OverlayNode,
    { logger, random = Math.random }: { logger: Logger; random?: () => number },
  ) {
    this.#node = node;
    this.#logger = logger;
    this.#random = random;
    node.libp2p.addEventListener('peer:disconnect', ({ detail }) => this.#disconnected(detail.toString()), {
      signal: this.#stopped.signal,
    });
  }

  /**
   * Dials all seeds and known members at once; resolves with the peer ids reached so far, SEED_GRACE_MS after the first
   * of them. The seeds are redialled in the background until `forget` was called as often as `join`. A seed that is this
   * node itself is skipped.
   *
   * @throws SpaceError `not-found`, listing every seed with its cause, when nobody was reached and this node knows
   * nobody else; the seeds are forgotten then
   */
  async join(
    seeds: readonly Multiaddr[],
    { signal, known = [], mayFound = false }: SeedJoinOptions = {},
  ): Promise<readonly string[]> {
    const joined = seeds.map((address) => this.#retain(address));
    const dialled = joined.filter((seed) => seed.state.is !== 'self');
    const reached = new Set<string>();
    const meetings = known.map((member) => this.#meet(member));
    for (const meeting of meetings)
      void meeting.then((outcome) => 'peer' in outcome && reached.add(outcome.peer));
    await this.#settled([...dialled.map((seed) => this.#reach(seed)), ...meetings], signal);
    for (const { state } of dialled) if (state.is === 'reached') reached.add(state.peer);
    const others = joined.filter(({ state }) => state.is !== 'self');
    const isFounder = others.length === 0 && (mayFound || known.length === 0);
    if (reached.size > 0 || isFounder || this.#node.knows() > 0) return [...reached];
    const causes = this.unreached(seeds);
    this.forget(seeds);
    const noSeed = causes === '' ? 'nobody could be reached' : `no seed could be reached: ${causes}`;
    throw new SpaceError('not-found', `${noSeed}${triedText(known)}`, { cause: signal?.reason });
  }

  /** Peer ids of the seeds that answer. */
  get reached(): readonly string[] {
    return [...this.#seeds.values()].flatMap(({ state }) => (state.is === 'reached' ? [state.peer] : []));
  }

  /** The seeds that could not be reached, each with its cause, for people; empty when all were. */
  unreached(seeds: readonly Multiaddr[]): string {
    const known = seeds.flatMap((address) => this.#seeds.get(address.toString()) ?? []);
    const unreached = known.filter(({ state }) => state.is !== 'self' && state.is !== 'reached');
    return unreached.map((seed) => `${seed.address} (${causeOf(seed.state)})`).join(', ');
  }

  forget(seeds: readonly Multiaddr[]): void {
    for (const address of seeds) {
      const seed = this.#seeds.get(address.toString());
      if (seed === undefined) continue;
      seed.uses -= 1;
      if (seed.uses === 0) this.#drop(seed);
    }
  }

  stop(): void {
    this.#stopped.abort();
    for (const seed of [...this.#seeds.values()]) this.#drop(seed);
  }

  /** Dials a member that was known before; it may be gone, or elsewhere. */
  async #meet({ peer, addresses }: KnownMember): Promise<Outcome> {
    const { libp2p, routing } = this.#node;
    try {
      const signal = timeLimit(DIAL_TIMEOUT_MS, this.#stopped.signal);
      const { remotePeer } = await libp2p.dial(addresses.map(multiaddr), { signal });
      if (remotePeer.toString() !== peer) throw new Error(`${remotePeer} answered in its place`);
      await routing.admit(remotePeer).catch(() => {}); // the DHT gets to know it by itself later
      return { peer };
    } catch (error) {
      this.#logger.debug({ peer, error }, 'a member known from before was not reached');
      return { error };
    }
  }

  #retain(address: Multiaddr): Seed {
    const key = address.toString();
    const known = this.#seeds.get(key);
    if (known !== undefined) {
      known.uses += 1;
      return known;
    }
    const state: SeedState = { is: 'dialling', outcome: Promise.resolve({ error: 'not dialled yet' }) };
    const seed: Seed = { address, gone: new AbortController(), uses: 1, failures: 0, state };
    this.#seeds.set(key, seed);
    if (this.#isSelf(address)) seed.state = { is: 'self' };
    else this.#dial(seed);
    return seed;
  }

  #drop(seed: Seed): void {
    this.#seeds.delete(seed.address.toString());
    if (seed.state.is === 'waiting') clearTimeout(seed.state.timer);
    seed.gone.abort();
  }

  /** The outcome of the dial under way, of the connection there is, or of a new dial. */
  #reach(seed: Seed): Promise<Outcome> {
    if (seed.state.is === 'reached') return Promise.resolve({ peer: seed.state.peer });
    return seed.state.is === 'dialling' ? seed.state.outcome : this.#dial(seed);
  }

  #dial(seed: Seed): Promise<Outcome> {
    if (seed.state.is === 'waiting') clearTimeout(seed.state.timer);
    const outcome = this.#attempt(seed).then(
      (peer): Outcome => {
        this.#reached(seed, peer);
        return { peer };
      },
      (error: unknown): Outcome => {
        this.#failed(seed, error);
        return { error };
      },
    );
    seed.state = { is: 'dialling', outcome };
    return outcome;
  }

  async #attempt({ address, gone }: Seed): Promise<string> {
    const { libp2p, routing } = this.#node;
    const connection = await libp2p.dial(address, { signal: timeLimit(DIAL_TIMEOUT_MS, gone.signal) });
    try {
      await routing.admit(connection.remotePeer);
    } catch (error) {
      // The seed did answer; the DHT gets to know it by itself later.
      this.#logger.debug({ seed: address.toString(), error }, 'a seed does not take part in the DHT yet');
    }
    return connection.remotePeer.toString();
  }

  #reached(seed: Seed, peer: string): void {
    if (seed.gone.signal.aborted) return;
    if (this.#node.libp2p.getConnections().every(({ remotePeer }) => remotePeer.toString() !== peer)) {
      this.#failed(seed, new Error('the connection was closed again'));
      return;
    }
    if (seed.failures > 0) this.#logger.info({ seed: seed.address.toString(), peer }, 'seed reached');
    seed.failures = 0;
    seed.state = { is: 'reached', peer };
  }

  #failed(seed: Seed, error: unknown): void {
    if (seed.gone.signal.aborted) return;
    if (error instanceof Error && error.name === 'InvalidPeerIdError') {
      // libp2p found itself at the other end.
      seed.state = { is: 'self' };
      return;
    }
    if (seed.failures === 0) {
      this.#logger.warn(
        { seed: seed.address.toString(), cause: textOf(error) },
        'seed not reached, trying again',
      );
    }
    this.#redialLater(seed, error, seed.failures + 1);
  }

  /** For ever. */
  #redialLater(seed: Seed, error: unknown, failures: number): void {
    if (seed.state.is === 'waiting') clearTimeout(seed.state.timer);
    seed.failures = failures;
    const timer = setTimeout(() => this.#dial(seed), backoffMs(failures + 1, this.#random));
    timer.unref();
    seed.state = { is: 'waiting', timer, error };
  }

  #disconnected(peer: string): void {
    for (const seed of this.#seeds.values()) {
      if (seed.state.is === 'reached' && seed.state.peer === peer) {
        this.#redialLater(seed, new Error('the connection was lost'), 0);
      }
    }
    if (this.#node.libp2p.getConnections().length > 0) return;
    // Nobody is left to talk to: redial soon rather than when it is due.
    for (const seed of this.#seeds.values()) {
      if (seed.state.is === 'waiting') this.#redialLater(seed, seed.state.error, 0);
    }
  }

  /** Resolves when all answered or failed, when the first has answered and the others had their grace, or in time. */
  async #settled(outcomes: readonly Promise<Outcome>[], signal?: AbortSignal): Promise<void> {
    const patienceMs = this.#node.knows() > 0 ? SEED_PATIENCE_MS : DIAL_TIMEOUT_MS + SUSPECT_TIMEOUT_MS;
    const timers: NodeJS.Timeout[] = [];
    await new Promise<void>((resolve) => {
      const resolveIn = (delayMs: number) => timers.push(setTimeout(resolve, delayMs));
      const answered = (outcome: Outcome) => 'peer' in outcome && resolveIn(SEED_GRACE_MS);
      for (const outcome of outcomes) outcome.then(answered);
      resolveIn(signal?.aborted ? 0 : patienceMs);
      signal?.addEventListener('abort', () => resolve(), { once: true });
      Promise.all(outcomes).then(() => resolve());
    });
    for (const timer of timers) clearTimeout(timer);
  }

  #isSelf(address: Multiaddr): boolean {
    const text = address.toString();
    const own = this.#node.addresses();
    return own.some((candidate) => candidate === text || candidate === `${text}/p2p/${this.#node.id}`);
  }
}

/** For people, at the end of an error. */
export function triedText(known: readonly KnownMember[]): string {
  return known.length === 0 ? '' : `; members known from before and tried: ${known.length}`;
}

function causeOf(state: SeedState): string {
  switch (state.is) {
    case 'waiting':
      return textOf(state.error);
    case 'dialling':
      return 'no answer yet';
    case 'reached':
    case 'self':
      return state.is;
    default:
      return state satisfies never;
  }
}

function textOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(textOf).join('; ');
  return error instanceof Error ? error.message || error.name : String(error);
}
