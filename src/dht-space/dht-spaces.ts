import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import type {
  CallOptions,
  JoinRequest,
  Logger,
  MemoryPressure,
  PointReceiver,
  PointSession,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { Directory } from './directory.js';
import { loadIdentity } from './identity.js';
import { JOIN_TIMEOUT_MS, MANIFEST_VALIDITY_MS, MAX_LOOKUP_BYTES } from './limits.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import type { Located } from './locate.js';
import { locate } from './locate.js';
import { lookUp, serveLookups, stopLookups } from './lookup.js';
import type { OverlayNode } from './node.js';
import { startOverlayNode } from './node.js';
import type { DhtPoint } from './point.js';
import { receiveControl } from './receive-control.js';
import { open, seal } from './records.js';
import { SeedDialer } from './seed-dialer.js';
import { parseJoinSettings, parseSpaceSettings } from './settings.js';
import { DhtSpace } from './space.js';
import { timeLimit } from './time-limit.js';
import type { FoundSpace, LookupReply, LookupRequest } from './wire/control.js';

/** A node that stops tells the DHT as far as that goes in this time; members hear of it at once. */
const LEAVE_TIMEOUT_MS = 1000;
const STOP_TIMEOUT_MS = 3000;
/** How full a reply to a lookup may get: its own framing takes some of it. */
const LOOKUP_SHARE = 0.9;

export interface DhtOptions {
  /** Overlay addresses to listen on, as multiaddrs; port 0 picks one. */
  readonly listen: readonly string[];
  /** Where this node's key is kept. Without it every start has a new identity. */
  readonly identityFile?: string | undefined;
  /** Told to peers, for people. */
  readonly name: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  /** Milliseconds since 1970, and random numbers below 1; of the system if left out. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Starts this node's part of the overlay: it listens, and knows nobody yet. */
export async function startDht(options: DhtOptions): Promise<DhtSpaces> {
  const { identityFile, listen, logger } = options;
  const identity = identityFile === undefined ? {} : { privateKey: await loadIdentity(identityFile) };
  const node = await startOverlayNode({ listen, logger, ...identity });
  const spaces = new DhtSpaces(node, options);
  await spaces.start();
  return spaces;
}

/** The implementation `dht`: no central broker; members find each other in a DHT and keep the membership themselves. */
export class DhtSpaces implements SpaceImplementation {
  readonly name = 'dht';
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #links: Links;
  readonly #directory: Directory;
  readonly #seeds: SeedDialer;
  /** By space id. */
  readonly #spaces = new Map<string, DhtSpace>();
  /** Entering and leaving spaces of one name goes one after the other. */
  readonly #queues = new Map<string, Promise<unknown>>();
  #pointNumbers = 0;
  #timer: NodeJS.Timeout | undefined;
  #state: 'running' | 'closed' = 'running';

  constructor(node: OverlayNode, options: DhtOptions) {
    const { name, logger, memory, now = Date.now, random = Math.random } = options;
    this.#node = node;
    this.#logger = logger;
    this.#directory = new Directory(node, { logger, clock: now, random });
    this.#seeds = new SeedDialer(node, { logger, random });
    this.#links = new Links({
      node,
      name,
      logger,
      memory,
      now,
      random,
      addresses: (peer) => [...this.#spaces.values()].flatMap((space) => space.members.addresses(peer)),
      opened: (link) => this.#opened(link),
      received: (link, message) => receiveControl(link, message, this.#spaces),
      dead: (link) => this.#dead(link),
    });
  }

  async start(): Promise<void> {
    await this.#links.start();
    await serveLookups(
      this.#node,
      (request) => this.#answer(request),
      ({ remotePeer }, err) => this.#logger.debug({ peer: remotePeer.toString(), err }, 'lookup failed'),
    );
    this.#timer = setInterval(() => {
      const nowMs = this.#links.now();
      for (const space of this.#spaces.values()) space.tick(nowMs);
    }, 1000);
  }

  get peerId(): string {
    return this.#node.id;
  }

  /** Overlay addresses of this node, with its peer id. */
  get addresses(): readonly string[] {
    return this.#node.addresses();
  }

  /** Joins the overlay through any of its nodes, without a space yet. */
  async bootstrap(seeds: readonly Multiaddr[], signal?: AbortSignal): Promise<void> {
    await this.#seeds.join(seeds, signal);
  }

  async declareSpace(
    { space: name, settings }: SpaceDeclaration,
    options: CallOptions = {},
  ): Promise<SpaceHandle> {
    const { seeds } = parseSpaceSettings(settings);
    const signal = deadline(options.signal);
    const { space } = await this.#throughSeeds(seeds, signal, () => this.#declare(name, signal), name);
    return {
      close: () => this.#serially(name, async () => this.#closeHandle(space)),
      delete: () =>
        this.#serially(name, async () => {
          if (space.owner === this.#node.id && !space.gone) await space.deleteSpace();
          else this.#closeHandle(space);
        }),
    };
  }

  async join(
    request: JoinRequest,
    receiver: PointReceiver,
    options: CallOptions = {},
  ): Promise<PointSession> {
    const { seeds, owner } = parseJoinSettings(request.settings);
    const signal = deadline(options.signal);
    const takePart = () => this.#takePart(request, owner, receiver, signal);
    const { space, session } = await this.#throughSeeds(seeds, signal, takePart, request.space);
    await space.linkMembers(signal);
    return session;
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#timer);
    this.#seeds.stop();
    const leaving = Promise.all([...this.#spaces.values()].map((space) => space.close()));
    await Promise.race([leaving, aborted(timeLimit(LEAVE_TIMEOUT_MS))]);
    this.#directory.stop();
    await stopLookups(this.#node);
    await this.#links.close('the node stops', timeLimit(STOP_TIMEOUT_MS));
    await this.#node.stop();
  }

  // --- entering spaces ---

  /** The seeds are redialled for as long as this node is in the space. */
  async #throughSeeds<T extends { readonly space: DhtSpace }>(
    seeds: readonly Multiaddr[],
    signal: AbortSignal,
    enter: () => Promise<T>,
    name: string,
  ): Promise<T> {
    await this.#seeds.join(seeds, signal);
    try {
      const entered = await this.#serially(name, enter);
      if (entered.space.gone) this.#seeds.forget(seeds);
      else entered.space.seeds.push(...seeds);
      return entered;
    } catch (error) {
      const unreached = this.#seeds.unreached(seeds);
      this.#seeds.forget(seeds);
      if (!(error instanceof SpaceError) || error.code !== 'not-found' || unreached === '') throw error;
      throw new SpaceError('not-found', `${error.message}; not reached: ${unreached}`, { cause: error });
    }
  }

  async #takePart(
    { space: name, point: wanted }: JoinRequest,
    owner: string | undefined,
    receiver: PointReceiver,
    signal: AbortSignal,
  ): Promise<{ space: DhtSpace; point: DhtPoint; session: PointSession }> {
    const space = this.#member(name, owner) ?? (await this.#find(name, owner, signal));
    try {
      return { space, ...(await space.takePart(wanted, receiver, signal)) };
    } catch (error) {
      space.release();
      throw error;
    }
  }

  async #declare(name: string, signal: AbortSignal): Promise<{ space: DhtSpace }> {
    const space = this.#member(name, this.#node.id) ?? (await this.#declareNew(name, signal));
    space.declared = true;
    return { space };
  }

  async #declareNew(name: string, signal: AbortSignal): Promise<DhtSpace> {
    const self = this.#node.id;
    const { byOwner, isAlive } = await this.#locate(name, undefined, signal, []);
    const owners = [this.#member(name, undefined)?.owner, ...byOwner.keys()];
    const other = owners.find((owner) => owner !== undefined && owner !== self);
    if (other !== undefined && !isAlive) {
      this.#logger.warn(
        { space: name, owner: other },
        'the name was claimed before, by a space that nobody is in',
      );
    } else if (other !== undefined) {
      throw new SpaceError('conflict', `space '${name}' is owned by ${other}; this node is ${self}`);
    }
    const nowMs = this.#links.now();
    const manifest = seal(
      {
        kind: 'space-manifest',
        space: name,
        owner: self,
        createdMs: nowMs,
        access: 'open',
        sequence: nowMs,
        expiresMs: nowMs + MANIFEST_VALIDITY_MS,
        deleted: false,
      },
      this.#node.privateKey,
    );
    const space = this.#enter(manifest.bytes);
    // Of an owner that was away: members are in it, and know each other.
    for (const found of byOwner.get(self) ?? []) this.#learn(space, found);
    void space.discover();
    this.#directory
      .putManifest(manifest)
      .catch((err: unknown) => this.#logger.debug({ err, space: name }, 'manifest is not in the DHT yet'));
    return space;
  }

  async #find(name: string, owner: string | undefined, signal: AbortSignal): Promise<DhtSpace> {
    const { byOwner } = await this.#locate(name, owner, signal);
    if (byOwner.size > 1) {
      const owners = [...byOwner.keys()].sort().join(' and ');
      throw new SpaceError(
        'conflict',
        `space '${name}' is claimed by ${owners}: pin one with exchangespace.owner`,
      );
    }
    const answers = [...byOwner.values()].flat();
    const [first] = answers;
    if (first === undefined) {
      const by = owner === undefined ? '' : ` owned by ${owner}`;
      const known = this.#node.knows();
      throw new SpaceError('not-found', `no space '${name}'${by}; nodes known to this one: ${known}`);
    }
    const space = this.#enter(first.manifest);
    for (const answer of answers) this.#learn(space, answer);
    return space;
  }

  /** A member that hands over what is not right is no reason not to join. */
  #learn(space: DhtSpace, found: FoundSpace): void {
    try {
      if (!space.gone) space.learn(found);
    } catch (err) {
      this.#logger.warn({ err, space: space.name }, 'what a member handed over is not right');
    }
  }

  /** @throws SpaceError `not-found` when this node has stopped meanwhile */
  #enter(manifest: Uint8Array): DhtSpace {
    if (this.#state === 'closed') throw new SpaceError('not-found', 'this node has stopped');
    const space = new DhtSpace(open('space-manifest', manifest, this.#links.now()), {
      node: this.#node,
      links: this.#links,
      directory: this.#directory,
      logger: this.#logger,
      nextPointNumber: () => ++this.#pointNumbers,
      ask: (peer) => this.#ask(peer, space),
      ended: () => {
        this.#spaces.delete(space.spaceId);
        this.#seeds.forget(space.seeds);
      },
    });
    this.#spaces.set(space.spaceId, space);
    space.enter();
    return space;
  }

  #member(name: string, owner: string | undefined): DhtSpace | undefined {
    for (const space of this.#spaces.values()) {
      if (space.name === name && (owner === undefined || space.owner === owner)) return space;
    }
    return undefined;
  }

  #closeHandle(space: DhtSpace): void {
    space.declared = false;
    space.release();
  }

  #locate(
    name: string,
    owner: string | undefined,
    signal: AbortSignal,
    retryMs?: readonly number[],
  ): Promise<Located> {
    const request = { space: name, owner: owner ?? '' };
    return locate({
      node: this.#node,
      directory: this.#directory,
      request,
      signal,
      now: this.#links.now,
      ...(retryMs === undefined ? {} : { retryMs }),
    });
  }

  /** Runs one at a time per name, in the order of the calls. */
  #serially<T>(name: string, action: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(name) ?? Promise.resolve();
    const result = before.then(action, action);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#queues.set(name, settled);
    void settled.then(() => {
      if (this.#queues.get(name) === settled) this.#queues.delete(name);
    });
    return result;
  }

  // --- lookups ---

  #answer({ space: name, owner }: LookupRequest): LookupReply {
    const known = [...this.#spaces.values()].filter(
      (space) => space.name === name && (owner === '' || space.owner === owner),
    );
    return { spaces: known.map((space) => space.found(LOOKUP_SHARE * (MAX_LOOKUP_BYTES / known.length))) };
  }

  async #ask(peer: string, space: DhtSpace): Promise<void> {
    const request = { space: space.name, owner: space.owner };
    const reply = await lookUp(this.#node, peerIdFromString(peer), request, {
      signal: timeLimit(JOIN_TIMEOUT_MS),
    });
    for (const found of reply.spaces) this.#learn(space, found);
  }

  // --- links ---

  #opened(link: Link): void {
    for (const spaceId of link.spaces) this.#spaces.get(spaceId)?.linked(link);
  }

  #dead(link: Link): void {
    for (const spaceId of link.spaces) this.#spaces.get(spaceId)?.members.dead(link.peer);
    // kad-dht would ask it for ever, and everybody's queries would wait for it.
    this.#node.routing.suspect(peerIdFromString(link.peer));
  }
}

function deadline(signal: AbortSignal | undefined): AbortSignal {
  return timeLimit(JOIN_TIMEOUT_MS, signal);
}
