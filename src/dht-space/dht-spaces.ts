import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import type {
  CallOptions,
  JoinRequest,
  Logger,
  PointReceiver,
  PointSession,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { aborted } from './aborted.js';
import { Directory } from './directory.js';
import { KnownSpaces } from './known-spaces.js';
import { JOIN_TIMEOUT_MS, MANIFEST_VALIDITY_MS, MAX_LOOKUP_BYTES } from './limits.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import type { Located } from './locate.js';
import { locate } from './locate.js';
import { lookUp, serveLookups, stopLookups } from './lookup.js';
import type { OverlayNode } from './node.js';
import type { OverlayStore } from './overlay-store.js';
import type { DhtPoint } from './point.js';
import { receiveControl } from './receive-control.js';
import { open, seal } from './records.js';
import { SeedDialer, triedText } from './seed-dialer.js';
import { parseJoinSettings, parseSpaceSettings } from './settings.js';
import { DhtSpace } from './space.js';
import type { DhtOptions } from './start-dht.js';
import { timeLimit } from './time-limit.js';
import { Tombstones } from './tombstones.js';
import { Turns } from './turns.js';
import type { FoundSpace, LookupReply, LookupRequest } from './wire/control.js';

/** A node that stops tells the DHT as far as that goes in this time; members hear of it at once. */
const LEAVE_TIMEOUT_MS = 1000;
const STOP_TIMEOUT_MS = 3000;
/** How full a reply to a lookup may get: its own framing takes some of it. */
const LOOKUP_SHARE = 0.9;

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
  readonly #tombstones = new Tombstones();
  /** Of earlier starts too. */
  readonly #known: KnownSpaces;
  readonly #store: OverlayStore | undefined;
  /** Entering and leaving spaces of one name goes one after the other. */
  readonly #turns = new Turns();
  #pointNumbers = 0;
  #timer: NodeJS.Timeout | undefined;
  #state: 'running' | 'closed' = 'running';

  constructor(node: OverlayNode, options: DhtOptions, store?: OverlayStore) {
    const { name, logger, memory, now = Date.now, random = Math.random } = options;
    this.#node = node;
    this.#logger = logger;
    this.#store = store;
    this.#known = new KnownSpaces(store, logger);
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
      received: (link, message) => receiveControl(link, message, this.#spaces, (id) => this.#tombstoneOf(id)),
      dead: (link) => this.#dead(link),
    });
  }

  async start(): Promise<void> {
    for (const manifest of await this.#known.load(this.#links.now())) this.#directory.learnManifest(manifest);
    await this.#links.start();
    await serveLookups(
      this.#node,
      (request) => this.#answer(request),
      ({ remotePeer }, err) => this.#logger.debug({ peer: remotePeer.toString(), err }, 'lookup failed'),
    );
    this.#timer = setInterval(() => {
      const nowMs = this.#links.now();
      for (const space of this.#spaces.values()) space.tick(nowMs);
      this.#known.tick(nowMs);
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
    await this.#seeds.join(seeds, { signal });
  }

  async declareSpace(
    { space: name, settings }: SpaceDeclaration,
    options: CallOptions = {},
  ): Promise<SpaceHandle> {
    const { seeds } = parseSpaceSettings(settings);
    const signal = deadline(options.signal);
    const declare = () => this.#declare(name, signal);
    const target = { space: name, owner: this.#node.id, mayFound: true };
    const { space } = await this.#throughSeeds(seeds, target, signal, declare);
    return {
      close: () => this.#turns.take(name, async () => this.#closeHandle(space)),
      delete: () =>
        this.#turns.take(name, async () => {
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
    const target = { space: request.space, owner };
    const { space, session } = await this.#throughSeeds(seeds, target, signal, takePart);
    await space.linkMembers(signal);
    return session;
  }

  async close(): Promise<void> {
    // While the members are members still.
    this.#known.update();
    this.#state = 'closed';
    clearInterval(this.#timer);
    this.#seeds.stop();
    const leaving = Promise.all([...this.#spaces.values()].map((space) => space.close()));
    await Promise.race([leaving, aborted(timeLimit(LEAVE_TIMEOUT_MS))]);
    this.#directory.stop();
    await stopLookups(this.#node);
    await this.#links.close('the node stops', timeLimit(STOP_TIMEOUT_MS));
    await this.#node.stop();
    await this.#store?.close();
  }

  // --- entering spaces ---

  /** The seeds are redialled for as long as this node is in the space; members known from before are dialled beside them. */
  async #throughSeeds<T extends { readonly space: DhtSpace }>(
    seeds: readonly Multiaddr[],
    { space: name, owner, mayFound = false }: Target,
    signal: AbortSignal,
    enter: () => Promise<T>,
  ): Promise<T> {
    const known = this.#member(name, owner) === undefined ? this.#known.members(name, owner) : [];
    await this.#seeds.join(seeds, { signal, known, mayFound });
    try {
      const entered = await this.#turns.take(name, enter);
      if (entered.space.gone) this.#seeds.forget(seeds);
      else {
        entered.space.seeds.push(...seeds);
        this.#known.joined(entered.space);
      }
      return entered;
    } catch (error) {
      const unreached = this.#seeds.unreached(seeds);
      this.#seeds.forget(seeds);
      const tried = (unreached === '' ? '' : `; not reached: ${unreached}`) + triedText(known);
      if (!(error instanceof SpaceError) || error.code !== 'not-found' || tried === '') throw error;
      throw new SpaceError('not-found', `${error.message}${tried}`, { cause: error });
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
    const earlier = (byOwner.get(self) ?? []).map(
      ({ manifest }) => open('space-manifest', manifest, nowMs).record,
    );
    const manifest = seal(
      {
        kind: 'space-manifest',
        space: name,
        owner: self,
        // Of two claims the older one comes first: that of an owner who comes back stays as old as it is.
        createdMs: Math.min(nowMs, ...earlier.map(({ createdMs }) => createdMs)),
        access: 'open',
        sequence: Math.max(nowMs, ...earlier.map(({ sequence }) => sequence + 1)),
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
    const before = owner === undefined ? this.#known.owners(name) : [];
    if (before.length > 0 && !before.includes(space.owner)) {
      this.#logger.warn(
        { space: name, owner: space.owner, before },
        'the space has another owner than the one by this name that this node was in',
      );
    }
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
      meetKnown: () => this.#meetKnown(space),
      ended: () => {
        this.#spaces.delete(space.spaceId);
        if (space.tombstone !== undefined) this.#tombstones.keep(space.spaceId, space.tombstone);
        // A node that stops comes back to it.
        if (this.#state === 'running') this.#known.left(space);
        this.#seeds.forget(space.seeds);
      },
    });
    this.#spaces.set(space.spaceId, space);
    this.#tombstones.lift(space.spaceId);
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

  #meetKnown({ name, owner }: DhtSpace): Promise<readonly string[]> {
    const known = this.#known.members(name, owner);
    return known.length === 0 ? Promise.resolve([]) : this.#seeds.join([], { known, mayFound: true });
  }

  #tombstoneOf(spaceId: string): Uint8Array | undefined {
    return this.#tombstones.find(spaceId, this.#links.now())?.bytes;
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

/** What is entered. */
interface Target {
  readonly space: string;
  readonly owner: string | undefined;
  readonly mayFound?: boolean;
}

function deadline(signal: AbortSignal | undefined): AbortSignal {
  return timeLimit(JOIN_TIMEOUT_MS, signal);
}
