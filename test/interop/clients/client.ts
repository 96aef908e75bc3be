import type { ToolName } from '../../support/tools.js';

/** The 14 properties of AMQP 0-9-1's class basic (§1.8.1.2), as they are on the wire. */
export interface BasicProperties {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly headers?: Record<string, unknown> | undefined;
  readonly deliveryMode?: number | undefined;
  readonly priority?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly expiration?: string | undefined;
  readonly messageId?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
  readonly type?: string | undefined;
  readonly userId?: string | undefined;
  readonly appId?: string | undefined;
  readonly clusterId?: string | undefined;
}

export interface SentMessage {
  readonly routingKey: string;
  readonly body: string;
  readonly properties?: BasicProperties;
}

export interface ReceivedMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: string;
  readonly properties: BasicProperties;
}

/** A client library or tool, unmodified, behind the few calls that the stories make. One connection to one node. */
export interface Client {
  declareExchange(name: string, type: string, args: Record<string, unknown>): Promise<void>;
  /** A queue of its own, bound to the exchange with each pattern; resolves when it is being consumed. */
  subscribe(exchange: string, patterns: readonly string[]): Promise<Subscription>;
  /** In order; resolves when the node has confirmed every message, or has taken it where the client cannot wait. */
  publish(exchange: string, messages: readonly SentMessage[]): Promise<void>;
  close(): Promise<void>;
}

export interface Subscription {
  /** Resolves with everything received so far once `isComplete` holds for it. */
  until(isComplete: (received: readonly ReceivedMessage[]) => boolean): Promise<readonly ReceivedMessage[]>;
}

/** What a client library can do is part of the story: the rest is left out, not failed. */
export interface ClientLibrary {
  readonly name: string;
  readonly tools: readonly ToolName[];
  /** Which properties it can publish. */
  readonly properties: readonly (keyof BasicProperties)[];
  /** False where a consumer sees the body only. */
  readonly seesEnvelope: boolean;
  connect(url: string): Promise<Client>;
}
