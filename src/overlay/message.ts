/** A table of named values, as AMQP field tables are. The core compares values and never interprets them. */
export type FieldTable = { readonly [name: string]: unknown };

/**
 * The content of one message: ranges of one buffer, so that a message that arrived in one read is never cut
 * into pieces. The header is the payload of an AMQP content header frame (AMQP 0-9-1 §4.2.6.1) and travels
 * unparsed. The buffer may be reused once the call that handed the content over has returned.
 */
export interface Content {
  readonly routingKey: string;
  readonly bytes: Uint8Array;
  readonly headerStart: number;
  readonly headerEnd: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Further routing keys in the header do not count: whoever sent it may not use just any. */
  readonly keyAlone?: boolean;
}

/** What the pattern tables look at. `headers` decodes on demand: only headers points ask for it. */
export interface Routable {
  readonly routingKey: string;
  headers(): FieldTable;
}

/** A message that an app of this node published to a point. */
export interface OutgoingMessage extends Content, Routable {
  /** Further routing keys, as RabbitMQ's headers `CC` and `BCC` have them: it goes to who wants any. */
  readonly alsoTo?: readonly string[] | undefined;
}

/**
 * Who sent a message, and as which one: unique over restarts and over any number of paths.
 * `epoch` is drawn at random when the origin starts; `sequence` counts the origin's messages of one point, from 1.
 */
export interface MessageIdentity {
  readonly origin: string;
  readonly epoch: bigint;
  readonly sequence: number;
}
