import type { MethodName } from '../src/amqp-codec/index.js';

/** What JSON can tell. */
export type Plain = { readonly [name: string]: unknown };

interface OnChannel {
  readonly connection: number;
  readonly channel: number;
}

/**
 * What one of the clients does next. A client connects when it is first heard of, and opens a channel, or opens it
 * again, when a method is to be sent there: so any part of a script is a script.
 */
export type Step =
  | (OnChannel & { readonly do: 'method'; readonly name: MethodName; readonly arguments: Plain })
  | (OnChannel & {
      readonly do: 'publish';
      readonly to: Plain;
      readonly properties: Plain;
      readonly bodyBytes: number;
      /** Octets per body frame. */
      readonly partBytes: number;
    })
  /** Of the delivery that came last, or so many before. */
  | (OnChannel & {
      readonly do: 'settle';
      readonly name: 'basic.ack' | 'basic.nack' | 'basic.reject';
      readonly before: number;
      readonly multiple: boolean;
      readonly requeue: boolean;
    })
  /** Anything, in pieces of so many octets. After it, nothing is known of what the server should answer. */
  | { readonly do: 'octets'; readonly connection: number; readonly hex: string; readonly pieceBytes: number }
  /** A client of its own that sends this instead of a handshake. */
  | { readonly do: 'greet'; readonly hex: string; readonly pieceBytes: number }
  | { readonly do: 'end'; readonly connection: number; readonly how: 'close' | 'reset' | 'half' }
  /** Until everything asked for so far has been answered. */
  | { readonly do: 'wait' };

export interface Script {
  /** What the clients agree to at the handshake. */
  readonly frameMax: number;
  readonly steps: readonly Step[];
}
