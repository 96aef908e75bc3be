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
import { Freshness } from './freshness.js';
import type { Grant } from './grant.js';
import { GrantBook } from './grant-book.js';
import { GrantDesk } from './grant-desk.js';
import { KnownSpaces } from './known-spaces.js';
import { JOIN_TIMEOUT_MS, LEAVE_TIMEOUT_MS, STOP_TIMEOUT_MS } from './limits.js';
import { Links } from './links.js';
import { serveLookups, stopLookups } from './lookup.js';
import { assertAccess, declaredManifest } from './manifest.js';
import type { OverlayNode } from './node.js';
import type { OverlayStore } from './overlay-store.js';
import type { DhtPoint } from './point.js';
import type { ToldAddress } from './reachability.js';
import type { Sealed, SpaceManifest } from './records.js';
import { open } from './records.js';
import { PeerFault } from './refusals.js';
import { SeedDialer, triedText } from './seed-dialer.js';
import type { JoinSettings } from './settings.js';
import { parseJoinSettings, parseSpaceSettings } from './settings.js';
import type { SpaceName } from './sole-space.js';
import { soleSpace } from './sole-space.js';
import { DhtSpace } from './space.js';
import { learnFrom, refusing, SpaceFinder } from './space-finder.js';
import type { SpaceStatus } from './space-status.js';
import { SpaceTable } from './space-table.js';
import type { DhtOptions } from './start-dht.js';
import { timeLimit } from './time-limit.js';
import { Turns } from './turns.js';

/** The implementation `dht`: no central broker; members find each other in a DHT and keep the membership themselves. */
export class DhtSpaces implements SpaceImplementation {
  readonly name = 'dht';
  readonly #node: OverlayNode;
  readonly #logger: Logger;
  readonly #links: Links;
  readonly #directory: Directory;
  readonly #seeds: SeedDialer;
  readonly #finder: SpaceFinder;
  readonly #freshness: Freshness;
  /** What administrators do with grants. */
  readonly grants: GrantDesk;
  readonly #spaces: SpaceTable;
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
    this.#spaces = new SpaceTable(now);
    const claimed = (space: string) => this.#spaces.claimed(space, this.#directory);
    this.#directory = new Directory(node, { logger, clock: now, random, claimed });
    this.#seeds = new SeedDialer(node, { logger, random });
    this.grants = new GrantDesk({
      key: node.privateKey,
      book: grants ?? GrantBook.empty(now),
      now,
      revoked: async (space) => this.#spaces.named(space, node.id)?.revoke(this.grants.revocations(space)),
    });
    this.#finder = new SpaceFinder({
      node,
      directory: this.#directory,
      grants: this.grants,
      logger,
      now,
      knownPeers: (space, owner) => [
        ...this.#seeds.reached,
        ...this.#known.members(space, owner).map(({ peer }) => peer),
      ],
      spaces: () => this.#spaces,
      informed: (space) => this.#freshness.of(space),
    });
    this.#links = new Links({
      node,
      name,
      logger,
      memory,
      now,
      random,
      addresses: (peer) => this.#spaces.addresses(peer),
      opened: (link) => this.#spaces.opened(link),
      received: (link, message) => this.#spaces.received(link, message),
      dead: (link) => {
        this.#spaces.dead(link);
        // kad-dht would ask it for ever, and everybody's queries would wait for it.
        node.routing.suspect(peerIdFromString(link.peer));
      },
      stray: (by) => this.#spaces.get(by.spaceId)?.stray(by),
      informed: () => this.#freshness.of(...this.#spaces),
    });
    this.#freshness = new Freshness({ directory: this.#directory, links: this.#links });
  }

  async start(): Promise<void> {
    for (const manifest of await this.#known.load(this.#links.now())) this.#directory.learnManifest(manifest);
    await this.#links.start();
    await serveLookups(
      this.#node,
      (request, asker) => this.#finder.answer(request, asker),
      ({ remotePeer }, err) => {
        const peer = remotePeer.toString();
        if (err instanceof PeerFault) this.#node.refusals.addFault(err, peer);
        else this.#logger.debug({ peer, err }, 'lookup failed');
      },
    );
    this.#timer = setInterval(() => {
      const nowMs = this.#links.now();
      for (const space of this.#spaces) space.tick(nowMs);
      this.#known.tick(nowMs);
    }, 1000);
  }

  get peerId(): string {
    return this.#node.id;
  }

  /** How often this node has refused what peers did, by cause; what is about a space is in here as well. */
  get refusals(): Readonly<Record<string, number>> {
    return this.#node.refusals.counts;
  }

  /** Overlay addresses of this node, with its peer id. */
  get addresses(): readonly string[] {
    return this.#node.addresses();
  }

  /** Where others are told to reach this node, and how that is known. */
  get told(): readonly ToldAddress[] {
    return this.#node.told;
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

  /** What is known of each space that this node is in. */
  status(): readonly SpaceStatus[] {
    return [...this.#spaces].map((space) => space.status());
  }

  /**
   * Deletes a point for everybody. Members that are away hear of it when they are back.
   *
   * @throws SpaceError `not-found` when this node is not in the space, or there is no such point; `conflict` when it is
   * in several spaces of that name; `refused` when it may not administer the point
   */
  async deletePoint({ point, ...space }: SpaceName & { readonly point: string }): Promise<void> {
    await soleSpace(this.#spaces, space).deletePoint(point);
  }

  async close(): Promise<void> {
    // While the members are members still.
    this.#known.update();
    this.#state = 'closed';
    clearInterval(this.#timer);
    this.#seeds.stop();
    const leaving = Promise.all([...this.#spaces].map((space) => space.close()));
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
    const known = this.#spaces.named(name, owner) === undefined ? this.#known.members(name, owner) : [];
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
    { space: name, point: wanted, restored }: JoinRequest,
    settings: JoinSettings,
    receiver: PointReceiver,
    signal: AbortSignal,
  ): Promise<{ space: DhtSpace; point: DhtPoint; session: PointSession }> {
    const grants = await this.#finder.ownGrants(name, settings);
    const owner = settings.owner ?? grants[0]?.claims.owner;
    const space = this.#spaces.named(name, owner) ?? (await this.#find(name, owner, grants[0], signal));
    try {
      // Held grants may have ended; others do without them.
      const isGiven = settings.grant !== undefined;
      for (const grant of grants)
        if (isGiven || space.grants.counts(grant)) refusing(() => space.present(grant));
      const definedMs = restored ? this.#known.definedMs(space.spaceId, wanted.name) : undefined;
      return { space, ...(await space.takePart(wanted, receiver, signal, definedMs)) };
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
    const space = this.#spaces.named(name, this.#node.id) ?? (await this.#declareNew(name, access, signal));
    assertAccess(space.manifest.record, access);
    space.declared = true;
    return { space };
  }

  async #declareNew(name: string, access: SpaceManifest['access'], signal: AbortSignal): Promise<DhtSpace> {
    const self = this.#node.id;
    const known = [this.#spaces.named(name, undefined)?.owner, ...this.#known.owners(name)];
    const { grant, own } = await this.#finder.findOwn(name, access, known, signal);
    const nowMs = this.#links.now();
    const told = own.map(({ manifest }) => open('space-manifest', manifest, nowMs));
    // With those of deleted spaces.
    const earlier = [...told, ...this.#directory.knownManifests(name, self)].map(({ record }) => record);
    const revoked = this.grants.revocations(name);
    const manifest = declaredManifest(
      { space: name, access, nowMs },
      earlier,
      revoked,
      this.#node.privateKey,
    );
    const space = this.#enter(manifest, grant);
    // Of an owner that was away: members are in it, and know each other.
    for (const found of own) learnFrom(found, space);
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
    if (pinned === undefined) this.#known.compare(space);
    await this.#freshness.of(space);
    for (const answer of [...answers, ...plain]) learnFrom(answer, space);
    return space;
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
        this.#spaces.delete(space);
        // A node that stops comes back to it.
        if (this.#state === 'running') this.#known.left(space);
        this.#seeds.forget(space.seeds);
      },
    });
    if (space.grants.isGranted) refusing(() => space.grants.present(grant));
    this.#spaces.add(space);
    space.enter();
    const points = [...this.#known.deletions(space.spaceId)];
    learnFrom({ manifest: new Uint8Array(0), members: [], points }, space);
    this.#spaces.claimed(space.name, this.#directory);
    return space;
  }

  #closeHandle(space: DhtSpace): void {
    space.declared = false;
    space.release();
  }

  #meetKnown({ name, owner }: { readonly name: string; readonly owner: string }): Promise<readonly string[]> {
    const known = this.#known.members(name, owner);
    return known.length === 0 ? Promise.resolve([]) : this.#seeds.join([], { known, mayFound: true });
  }

  async #ask(peer: string, space: DhtSpace): Promise<void> {
    for (const found of await this.#finder.ask(peer, space, timeLimit(JOIN_TIMEOUT_MS)))
      learnFrom(found, space);
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
