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
import type { Grant } from './grant.js';
import { GrantBook } from './grant-book.js';
import { GrantDesk } from './grant-desk.js';
import { KnownSpaces } from './known-spaces.js';
import { JOIN_TIMEOUT_MS } from './limits.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import { serveLookups, stopLookups } from './lookup.js';
import { assertAccess, declaredManifest } from './manifest.js';
import type { OverlayNode } from './node.js';
import type { OverlayStore } from './overlay-store.js';
import type { DhtPoint } from './point.js';
import { receiveControl } from './receive-control.js';
import type { Sealed, SpaceManifest } from './records.js';
import { open } from './records.js';
import { SeedDialer, triedText } from './seed-dialer.js';
import type { JoinSettings } from './settings.js';
import { parseJoinSettings, parseSpaceSettings } from './settings.js';
import { DhtSpace } from './space.js';
import { refusing, SpaceFinder } from './space-finder.js';
import type { DhtOptions } from './start-dht.js';
import { timeLimit } from './time-limit.js';
import { Tombstones } from './tombstones.js';
import { Turns } from './turns.js';
import type { FoundSpace } from './wire/control.js';

/** A node that stops tells the DHT as far as that goes in this time; members hear of it at once. */
const LEAVE_TIMEOUT_MS = 1000;
const STOP_TIMEOUT_MS = 3000;

/** The implementation `dht`: no central broker; members find each other in a DHT and keep the membership themselves. */
export class DhtSpaces implements SpaceImplementation {
  readonly name = 'dht';
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #links: Links;
  readonly #directory: Directory;
  readonly #seeds: SeedDialer;
  readonly #finder: SpaceFinder;
  /** What administrators do with grants. */
  readonly grants: GrantDesk;
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

  constructor(
    node: OverlayNode,
    options: DhtOptions,
    { store, grants }: { readonly store?: OverlayStore | undefined; readonly grants?: GrantBook } = {},
  ) {
    const { name, logger, memory, now = Date.now, random = Math.random } = options;
    this.#node = node;
    this.#logger = logger;
    this.#store = store;
    this.#known = new KnownSpaces(store, logger);
    this.#directory = new Directory(node, { logger, clock: now, random });
    this.#seeds = new SeedDialer(node, { logger, random });
    this.grants = new GrantDesk({
      key: node.privateKey,
      book: grants ?? GrantBook.empty(now),
      now,
      revoked: async (space) => this.#member(space, node.id)?.revoke(this.grants.revocations(space)),
    });
    this.#finder = new SpaceFinder({
      node,
      directory: this.#directory,
      grants: this.grants,
      now,
      spaces: () => this.#spaces.values(),
    });
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
      (request, asker) => this.#finder.answer(request, asker),
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
    const { seeds, access } = parseSpaceSettings(settings);
    const signal = deadline(options.signal);
    const declare = () => this.#declare(name, access, signal);
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
    const joining = parseJoinSettings(request.settings);
    const { seeds } = joining;
    const signal = deadline(options.signal);
    const takePart = () => this.#takePart(request, joining, receiver, signal);
    const target = { space: request.space, owner: joining.owner };
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
    settings: JoinSettings,
    receiver: PointReceiver,
    signal: AbortSignal,
  ): Promise<{ space: DhtSpace; point: DhtPoint; session: PointSession }> {
    const grants = await this.#finder.ownGrants(name, settings);
    const owner = settings.owner ?? grants[0]?.claims.owner;
    const space = this.#member(name, owner) ?? (await this.#find(name, owner, grants[0], signal));
    try {
      // Held grants may have ended; others do without them.
      const isGiven = settings.grant !== undefined;
      for (const grant of grants)
        if (isGiven || space.grants.counts(grant)) refusing(() => space.present(grant));
      return { space, ...(await space.takePart(wanted, receiver, signal)) };
    } catch (error) {
      space.release();
      throw error;
    }
  }

  async #declare(
    name: string,
    access: SpaceManifest['access'],
    signal: AbortSignal,
  ): Promise<{ space: DhtSpace }> {
    const space = this.#member(name, this.#node.id) ?? (await this.#declareNew(name, access, signal));
    assertAccess(space.manifest.record, access);
    space.declared = true;
    return { space };
  }

  async #declareNew(name: string, access: SpaceManifest['access'], signal: AbortSignal): Promise<DhtSpace> {
    const self = this.#node.id;
    const { byOwner, claims, isAlive } = await this.#finder.locate(name, undefined, signal, { retryMs: [] });
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
    const grant = access === 'granted' ? await this.#finder.ownersGrant(name) : undefined;
    // Members of a granted space answer nobody else.
    const answers =
      grant === undefined
        ? byOwner.get(self)
        : (await this.#finder.locate(name, self, signal, { grant, retryMs: [] })).byOwner.get(self);
    const own = [...(answers ?? []), ...(claims.get(self) ?? [])];
    const nowMs = this.#links.now();
    const earlier = own.map(({ manifest }) => open('space-manifest', manifest, nowMs).record);
    const revoked = this.grants.revocations(name);
    const manifest = declaredManifest(
      { space: name, access, nowMs },
      earlier,
      revoked,
      this.#node.privateKey,
    );
    const space = this.#enter(manifest, grant);
    // Of an owner that was away: members are in it, and know each other.
    for (const found of own) this.#learn(space, found);
    void space.discovery.run();
    this.#directory
      .putManifest(manifest)
      .catch((err: unknown) => this.#logger.debug({ err, space: name }, 'manifest is not in the DHT yet'));
    return space;
  }

  async #find(
    name: string,
    pinned: string | undefined,
    given: Grant | undefined,
    signal: AbortSignal,
  ): Promise<DhtSpace> {
    const { owner, answers, manifest } = await this.#finder.find(name, pinned, given, signal);
    const isGranted = manifest.record.access === 'granted';
    // What is asked for by a grant, only members of a granted space understand, and they answer nothing else.
    if (isGranted && given === undefined && owner === this.#node.id) {
      return this.#find(name, owner, await this.#finder.ownersGrant(name), signal);
    }
    const plain =
      isGranted || given === undefined
        ? []
        : (await this.#finder.find(name, owner, undefined, signal)).answers;
    const space = this.#enter(manifest, given);
    const before = pinned === undefined ? this.#known.owners(name) : [];
    if (before.length > 0 && !before.includes(space.owner)) {
      this.#logger.warn(
        { space: name, owner: space.owner, before },
        'the space has another owner than the one by this name that this node was in',
      );
    }
    for (const answer of [...answers, ...plain]) this.#learn(space, answer);
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

  /**
   * @throws SpaceError `not-found` when this node has stopped meanwhile; `refused` when the space is granted, and not to
   * this node
   */
  #enter(manifest: Sealed<SpaceManifest>, grant: Grant | undefined): DhtSpace {
    if (this.#state === 'closed') throw new SpaceError('not-found', 'this node has stopped');
    const space = new DhtSpace(manifest, {
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
    if (space.grants.isGranted) refusing(() => space.grants.present(grant));
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

  #meetKnown({ name, owner }: { readonly name: string; readonly owner: string }): Promise<readonly string[]> {
    const known = this.#known.members(name, owner);
    return known.length === 0 ? Promise.resolve([]) : this.#seeds.join([], { known, mayFound: true });
  }

  #tombstoneOf(spaceId: string): Uint8Array | undefined {
    return this.#tombstones.find(spaceId, this.#links.now())?.bytes;
  }

  async #ask(peer: string, space: DhtSpace): Promise<void> {
    for (const found of await this.#finder.ask(peer, space, timeLimit(JOIN_TIMEOUT_MS)))
      this.#learn(space, found);
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
