import type { OutgoingMessage, PointType } from '../overlay/index.js';

/** Where a broker is reached over AMQP. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly virtualHost: string;
}

export interface Credential {
  readonly username: string;
  readonly password: string;
}

export interface Permits {
  readonly configure: boolean;
  readonly write: boolean;
  readonly read: boolean;
}

/**
 * What the implementation asks of its own node's broker. All else goes over AMQP, as with any other broker; a stock
 * broker would do this part with its own means of administration.
 */
export interface HomeBroker {
  /** A login of the tracker's, as an AMQP application, at its own node; it ends with the node. */
  admitTracker(virtualHost: string): Promise<Endpoint & Credential>;
  /** What the broker's permissions, as they are now, grant the user for the exchange. */
  permits(user: string, virtualHost: string, exchange: string): Permits;
  /**
   * Opens the virtual host of this node that relays of other members log in to, for one membership. Resolves when the
   * node can be reached.
   */
  openRelayAccess(options: RelayAccessOptions): Promise<RelayAccess>;
}

export interface RelayAccessOptions {
  /** This node's member id. Relays log in as `<member>.<relay's member id>`. */
  readonly member: string;
  /** The password of a relay's member now; undefined: it may not log in. Asked at each login. */
  passwordOf(relay: string): string | undefined;
}

/**
 * What relays may see of this node, in one membership. A relay may declare exclusive queues whose names begin with its
 * user name and a dot, bind them to the membership's outlets and consume them, and nothing else.
 */
export interface RelayAccess {
  /** As other nodes reach it. Undefined where only the address is missing, because the node listens on all. */
  readonly endpoint: Omit<Endpoint, 'host'> & { readonly host: string | undefined };
  /** `changed`: a relay began to consume, or stopped. */
  openOutlet(type: PointType, changed: () => void): Outlet;
  /** Ends the connections of a relay. */
  dismiss(relay: string): void;
  /** Ends all connections and closes the outlets. */
  close(): void;
}

/** Where relays bind their queues for one point. What is published here is what apps of this node published. */
export interface Outlet {
  /** Names the outlet among those of its membership; queue names are `<member>.<relay>.<number>.<whatever the relay likes>`. */
  readonly number: number;
  /** An exchange of the point's type. */
  readonly exchange: string;
  /** An exchange of type fanout with the same messages, for who wants everything: direct exchanges know no such binding. */
  readonly everything: string;
  /** As `PointSession.publish`: routed to the queues of relays that want it. A copy is made where it has to wait. */
  publish(message: OutgoingMessage): Promise<void> | undefined;
  /** What the relay of a member has here; undefined: no queue with a consumer. */
  reader(relay: string): OutletReader | undefined;
  close(): void;
}

export interface OutletReader {
  /** Bindings of its queue. */
  readonly bindings: number;
  /** Messages that were put into its queue. */
  readonly messages: number;
  /** Octets that wait in its queue. */
  readonly bytes: number;
  /** Lost because it stalled. */
  readonly droppedMessages: number;
}
