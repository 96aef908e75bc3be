import { randomBytes } from 'node:crypto';
import type { Account, Broker, Queue, QueueSpec, VirtualHost } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import type {
  Credential,
  Endpoint,
  HomeBroker,
  Permits,
  RelayAccess,
  RelayAccessOptions,
} from '../prototype-space/index.js';
import { CHECK_BYTES, MAX_BINDINGS_PER_QUEUE, OUTLET_HIGH_BYTES, PAUSE_POLL_MS, STALL_MS } from './limits.js';
import type { NodeOutlet } from './outlet.js';
import { NodeRelayAccess } from './relay-access.js';
import type { OutletLimits } from './relay-queue.js';

/** Where this node is reached over AMQP. */
type Listener = Omit<Endpoint, 'virtualHost'>;

interface HomeBrokerOptions {
  readonly broker: Broker;
  readonly logger: Logger;
  /** As other nodes are told to reach this one; undefined: where it listens. */
  readonly advertise?: Listener | undefined;
  /** For tests. */
  readonly limits?: Partial<OutletLimits>;
}

const PASSWORD_BYTES = 32;
const TRACKER_NAME_BYTES = 16;
/** Names of the broker's making, the default exchange, and the tracker's own. */
const TRACKER_NAMES = '^(amq\\.gen-.*|amq\\.default|xspace\\.tracker\\..*)$';
const WILDCARDS = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/**
 * The part of this node's broker that the implementation `prototype` needs and AMQP does not have: accounts that come and
 * go with memberships, and where other members' relays read what this node's apps publish.
 */
export class NodeHomeBroker implements HomeBroker {
  readonly #broker: Broker;
  readonly #advertise: Listener | undefined;
  readonly #limits: OutletLimits;
  readonly #logger: Logger;
  readonly #virtualHost: VirtualHost;
  readonly #removeLoginSource: () => void;
  /** By virtual host. */
  readonly #trackers = new Map<string, Credential>();
  /** By member id. */
  readonly #accesses = new Map<string, NodeRelayAccess>();
  readonly #listening: Promise<readonly Listener[]>;
  #listen: (listeners: readonly Listener[]) => void = () => {};
  #giveUp: (error: Error) => void = () => {};

  constructor({ broker, logger, advertise, limits }: HomeBrokerOptions) {
    this.#broker = broker;
    this.#logger = logger;
    this.#advertise = advertise;
    const defaults = { checkBytes: CHECK_BYTES, highBytes: OUTLET_HIGH_BYTES };
    this.#limits = { ...defaults, stallMs: STALL_MS, pollMs: PAUSE_POLL_MS, ...limits };
    this.#listening = new Promise((resolve, reject) => {
      this.#listen = resolve;
      this.#giveUp = reject;
    });
    // Nobody may be waiting.
    this.#listening.catch(() => {});
    this.#virtualHost = broker.openPrivateVirtualHost({
      maxBindingsPerQueue: MAX_BINDINGS_PER_QUEUE,
      assertDeclarable: (name, spec) => this.#assertDeclarable(name, spec),
      declared: (queue) => this.#tell(queue, (outlet, relay) => outlet.queueDeclared(relay, queue)),
      consumersChanged: (queue) => this.#tell(queue, (outlet) => outlet.consumersChanged()),
      deleted: (queue) => this.#tell(queue, (outlet, relay) => outlet.queueDeleted(relay, queue)),
    });
    this.#removeLoginSource = broker.addLoginSource({ account: (name) => this.#account(name) });
  }

  /** The node can be reached from now on: in the order of its settings. */
  listening(listeners: readonly Listener[]): void {
    this.#listen(listeners);
  }

  async admitTracker(virtualHost: string): Promise<Endpoint & Credential> {
    const plain = (await this.#listening).find(({ tls }) => !tls);
    if (plain === undefined) {
      const text = 'the tracker of a space needs a listener without TLS on its own node: amqp-listen';
      throw new SpaceError('refused', text);
    }
    let credential = this.#trackers.get(virtualHost);
    if (credential === undefined) {
      const username = `xspace-tracker-${randomBytes(TRACKER_NAME_BYTES).toString('hex')}`;
      credential = { username, password: randomBytes(PASSWORD_BYTES).toString('base64url') };
      this.#trackers.set(virtualHost, credential);
    }
    return { ...plain, host: WILDCARDS.get(plain.host) ?? plain.host, virtualHost, ...credential };
  }

  permits(user: string, virtualHost: string, exchange: string): Permits {
    return this.#broker.permits(user, virtualHost, exchange);
  }

  async openRelayAccess(options: RelayAccessOptions): Promise<RelayAccess> {
    const { member } = options;
    const endpoint = this.#endpointAmong(await this.#listening);
    const context = { virtualHost: this.#virtualHost, limits: this.#limits, logger: this.#logger };
    const closed = () => {
      if (this.#accesses.get(member) === access) this.#accesses.delete(member);
    };
    if (this.#accesses.has(member)) throw new Error(`relay access of member '${member}' is open already`);
    const access: NodeRelayAccess = new NodeRelayAccess(endpoint, options, this.#broker, context, closed);
    this.#accesses.set(member, access);
    return access;
  }

  /** The node stops: nobody logs in any more, and who waits for it to listen waits no longer. */
  close(): void {
    this.#giveUp(new SpaceError('not-found', 'the node stops'));
    this.#removeLoginSource();
    for (const access of [...this.#accesses.values()]) access.close();
    for (const { username } of this.#trackers.values()) this.#broker.dismiss(username);
    this.#trackers.clear();
  }

  #endpointAmong(listeners: readonly Listener[]): RelayAccess['endpoint'] {
    const { name: virtualHost } = this.#virtualHost;
    if (this.#advertise !== undefined) return { ...this.#advertise, virtualHost };
    const listener = listeners.find(({ tls }) => !tls) ?? listeners[0];
    if (listener === undefined) {
      throw new SpaceError('refused', 'other nodes cannot reach this one: it listens nowhere (amqp-listen)');
    }
    return { ...listener, host: WILDCARDS.has(listener.host) ? undefined : listener.host, virtualHost };
  }

  #account(name: string): Account | undefined {
    const [, member = '', relay = ''] = /^([0-9a-f]{32})\.([0-9a-f]{32})$/.exec(name) ?? [];
    if (member !== '') return this.#accesses.get(member)?.account(relay);
    for (const [virtualHost, { username, password }] of this.#trackers) {
      if (username !== name) continue;
      const permissions = { configure: TRACKER_NAMES, write: TRACKER_NAMES, read: '.*' };
      return { password, virtualHost, permissions };
    }
    return undefined;
  }

  /** The permissions have made sure that the name is the relay's own. */
  #assertDeclarable(name: string, { exclusive }: QueueSpec): void {
    const { outlet, relay } = this.#outletOf(name) ?? {};
    if (outlet === undefined || relay === undefined) {
      throw new BrokerError('not-found', `no outlet for queue '${name}'`);
    }
    if (!exclusive) {
      throw new BrokerError('precondition-failed', `queue '${name}': expected an exclusive one`);
    }
    if (outlet.hasRoomFor(relay)) return;
    throw new BrokerError('precondition-failed', `too many queues of relay '${relay}' at one outlet`);
  }

  #tell(queue: Queue, tell: (outlet: NodeOutlet, relay: string) => void): void {
    const found = this.#outletOf(queue.name);
    if (found !== undefined) tell(found.outlet, found.relay);
  }

  /** Queues of relays are named `<member>.<relay>.<number of the outlet>.<anything>`. */
  #outletOf(queue: string): { readonly outlet: NodeOutlet; readonly relay: string } | undefined {
    const [, member = '', relay = '', number] =
      /^([0-9a-f]{32})\.([0-9a-f]{32})\.([1-9][0-9]{0,14})\./.exec(queue) ?? [];
    const outlet = this.#accesses.get(member)?.outlet(Number(number));
    return outlet && { outlet, relay };
  }
}
