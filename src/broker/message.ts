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
  /** How many queue entries hold it. Starts at 0, and is written by the broker alone. */
  holders: number;
  /** Called before the message is held longer than the call which handed it over: its bytes were only lent. */
  retain(): void;
}
