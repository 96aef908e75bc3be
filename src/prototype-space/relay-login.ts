import type { Method, MethodArguments, MethodName } from '../amqp-codec/index.js';
import {
  decodeMethod,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  methodFrame,
  PROTOCOL_HEADER,
} from '../amqp-codec/index.js';
import type { Credential } from './home-broker.js';
import { MAX_FRAME_BYTES, MIN_FRAME_BYTES } from './limits.js';
import type { RelayStream, StreamReceiver } from './relay-stream.js';

/** What was agreed on with a broker. */
export interface Tuning {
  readonly maxFrameBytes: number;
  readonly maxChannels: number;
  readonly heartbeatSeconds: number;
}

export interface LoginOptions extends Credential {
  readonly virtualHost: string;
  /** What is wanted; a broker may want it shorter. */
  readonly heartbeatSeconds: number;
  /** Takes the frames from here on. */
  opened(tuning: Tuning): StreamReceiver;
  refused(cause: Error): void;
}

/** The largest number of a channel: AMQP 0-9-1 §4.2.3 has 16 bits for it. */
const MAX_CHANNEL = 65_535;

const CLIENT_PROPERTIES = {
  product: 'xspace',
  capabilities: {
    publisher_confirms: false,
    consumer_cancel_notify: true,
    authentication_failure_close: true,
    'basic.nack': true,
    'connection.blocked': true,
  },
};

/**
 * The client's side of the handshake (AMQP 0-9-1 §2.2.4), which is a straight line:
 *
 *     protocol header ──▶ start ──▶ start-ok ──▶ tune ──▶ tune-ok, open ──▶ open-ok
 */
export class RelayLogin implements StreamReceiver {
  readonly #stream: RelayStream;
  readonly #options: LoginOptions;
  #awaited: 'connection.start' | 'connection.tune' | 'connection.open-ok' = 'connection.start';
  #tuning: Tuning;

  constructor(stream: RelayStream, options: LoginOptions) {
    this.#stream = stream;
    this.#options = options;
    const { heartbeatSeconds } = options;
    this.#tuning = { maxFrameBytes: MAX_FRAME_BYTES, maxChannels: MAX_CHANNEL, heartbeatSeconds };
    stream.send(PROTOCOL_HEADER);
  }

  ended(cause: Error): void {
    this.#options.refused(cause);
  }

  frame(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME_HEARTBEAT) return;
    if (type !== FRAME_METHOD || channel !== 0) {
      throw new Error(`a frame of type ${type} on channel ${channel} where ${this.#awaited} was expected`);
    }
    const method = decodeMethod(bytes, start, end);
    if (method.name === 'connection.close') {
      this.#send('connection.close-ok', {});
      throw new Error(`login refused: ${replyOf(method.arguments)}`);
    }
    if (method.name !== this.#awaited) throw new Error(`${method.name} where ${this.#awaited} was expected`);
    this.#proceed(method);
  }

  #proceed(method: Method): void {
    switch (method.name) {
      case 'connection.start':
        this.#start(method.arguments);
        break;
      case 'connection.tune':
        this.#tune(method.arguments);
        break;
      case 'connection.open-ok':
        this.#stream.handOver(this.#options.opened(this.#tuning), this.#tuning.maxFrameBytes);
        break;
    }
  }

  #start({ versionMajor, versionMinor, mechanisms }: MethodArguments<'connection.start'>): void {
    if (versionMajor !== 0 || versionMinor !== 9) {
      throw new Error(`it speaks AMQP ${versionMajor}-${versionMinor} instead of 0-9`);
    }
    if (!mechanisms.split(' ').includes('PLAIN')) {
      throw new Error(`it logs in by ${mechanisms} and not by PLAIN`);
    }
    const { username, password } = this.#options;
    const response = Buffer.from(`\0${username}\0${password}`);
    const clientProperties = CLIENT_PROPERTIES;
    this.#send('connection.start-ok', { clientProperties, mechanism: 'PLAIN', response, locale: 'en_US' });
    this.#awaited = 'connection.tune';
  }

  #tune({ channelMax, frameMax, heartbeat }: MethodArguments<'connection.tune'>): void {
    // AMQP 0-9-1 §1.4.2.5: 0 is no limit.
    const maxFrameBytes = Math.min(frameMax || MAX_FRAME_BYTES, MAX_FRAME_BYTES);
    if (maxFrameBytes < MIN_FRAME_BYTES) throw new Error(`frame-max ${frameMax} is below ${MIN_FRAME_BYTES}`);
    const maxChannels = channelMax || MAX_CHANNEL;
    const wanted = this.#options.heartbeatSeconds;
    const heartbeatSeconds = Math.min(heartbeat || wanted, wanted);
    this.#tuning = { maxFrameBytes, maxChannels, heartbeatSeconds };
    const agreed = {
      channelMax: maxChannels,
      frameMax: maxFrameBytes,
      heartbeat: Math.ceil(heartbeatSeconds),
    };
    this.#send('connection.tune-ok', agreed);
    this.#send('connection.open', { virtualHost: this.#options.virtualHost });
    this.#awaited = 'connection.open-ok';
  }

  #send<N extends MethodName>(name: N, args: MethodArguments<N>): void {
    this.#stream.send(methodFrame(0, name, args));
  }
}

/** Code and text of a close, as texts show them. */
export function replyOf({ replyCode, replyText }: MethodArguments<'connection.close'>): string {
  return `${replyCode} ${replyText}`;
}
