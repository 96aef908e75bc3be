import type { Account, Broker } from '../broker/index.js';
import type { PointType } from '../overlay/index.js';
import type { RelayAccess, RelayAccessOptions } from '../prototype-space/index.js';
import type { OutletContext } from './outlet.js';
import { NodeOutlet } from './outlet.js';

/** What may go wrong where members' ids are put into patterns of names is ruled out. */
const MEMBER_ID = /^[0-9a-f]{32}$/;
/** Matches no name. */
const NOTHING = '';

/** What relays may see of one membership, and who they are. */
export class NodeRelayAccess implements RelayAccess {
  readonly endpoint: RelayAccess['endpoint'];
  readonly #options: RelayAccessOptions;
  readonly #broker: Broker;
  readonly #context: OutletContext;
  readonly #closed: () => void;
  readonly #outlets = new Map<number, NodeOutlet>();
  /** Those that may have connections: a password was asked for them. */
  readonly #relays = new Set<string>();
  #lastNumber = 0;

  /** @throws TypeError where the member id is none */
  constructor(
    endpoint: RelayAccess['endpoint'],
    options: RelayAccessOptions,
    broker: Broker,
    context: OutletContext,
    closed: () => void,
  ) {
    if (!MEMBER_ID.test(options.member)) {
      throw new TypeError(`member: expected 32 lower-case hexadecimal digits, found '${options.member}'`);
    }
    this.endpoint = endpoint;
    this.#options = options;
    this.#broker = broker;
    this.#context = context;
    this.#closed = closed;
  }

  openOutlet(type: PointType, changed: () => void): NodeOutlet {
    const number = ++this.#lastNumber;
    const { member } = this.#options;
    const closed = () => void this.#outlets.delete(number);
    const outlet = new NodeOutlet({ member, number, type, changed, closed }, this.#context);
    this.#outlets.set(number, outlet);
    return outlet;
  }

  dismiss(relay: string): void {
    this.#relays.delete(relay);
    this.#broker.dismiss(`${this.#options.member}.${relay}`);
  }

  close(): void {
    // First, so that nobody gets in again.
    this.#closed();
    for (const relay of [...this.#relays]) this.dismiss(relay);
    for (const outlet of [...this.#outlets.values()]) outlet.close();
  }

  /**
   * As which a relay logs in. Its queues are its own, and exchanges are for it to bind its queues to: it may neither
   * declare any, nor publish.
   */
  account(relay: string): Account | undefined {
    const password = this.#options.passwordOf(relay);
    if (password === undefined) return undefined;
    this.#relays.add(relay);
    const { member } = this.#options;
    const own = `^${member}\\.${relay}\\.`;
    return {
      password,
      virtualHost: this.#context.virtualHost.name,
      permissions: { configure: own, write: own, read: own },
      exchangePermissions: { configure: NOTHING, write: NOTHING, read: `^${member}\\.x\\.` },
    };
  }

  outlet(number: number): NodeOutlet | undefined {
    return this.#outlets.get(number);
  }
}
