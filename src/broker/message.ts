/** A table of named values, as AMQP field tables are. */
export type FieldTable = { readonly [name: string]: unknown };

/** What exchanges look at to route. `headers` decodes on demand: only headers exchanges ask for it. */
export interface Routable {
  readonly routingKey: string;
  headers(): FieldTable;
}

/** A message as the broker sees it; whoever hands messages in knows their bytes. */
export interface Message extends Routable {
  /** The exchange it was published to, under its local name. */
  readonly exchange: string;
  /** What holding it costs: content header and body, in bytes. Always the same. */
  readonly sizeBytes: number;
  /** Octets of the body alone: what `x-max-length-bytes` counts. */
  readonly bodyBytes: number;
  /** Asks to survive a restart in durable queues: delivery-mode 2. */
  readonly persistent: boolean;
  /** The property `priority`, 0 where it is missing. */
  readonly priority: number;
  /** The property `expiration` in milliseconds, undefined where it is missing. */
  readonly expirationMs: number | undefined;
  /** Further routing keys, of the headers `CC` and `BCC`: RabbitMQ's sender-selected distribution. Undefined: none. */
  readonly alsoTo: readonly string[] | undefined;
  /** How many queue entries hold it. Starts at 0, and is written by the broker alone. */
  holders: number;
  /** Called before the message is held longer than the call which handed it over: its bytes were only lent. */
  retain(): void;
  /**
   * A message of the same body and properties, but for those given: published anew by the broker itself, as dead letters
   * are. It has no `expiration`. What of `headers` is the very value that `headers()` gave keeps its octets and so its type on
   * the wire; numbers that are new become int32, int64 or double, whichever is the first to hold them, and bigints int64.
   * Headers are in the order of their names.
   */
  republished(to: {
    readonly exchange: string;
    readonly routingKey: string;
    /** Not changed by anybody afterwards. */
    readonly headers: FieldTable;
    /** Left out: those of the header `CC` in `headers`. Those of `BCC` are in no header. */
    readonly alsoTo?: readonly string[] | undefined;
  }): Message;
}
