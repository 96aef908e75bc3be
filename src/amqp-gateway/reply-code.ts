import { CodecError } from '../amqp-codec/index.js';
import { BrokerError } from '../broker/index.js';
import { SpaceError } from '../overlay/index.js';

/** Soft errors of AMQP 0-9-1 §1.2: they close the channel. 540 is one for aliases: the paper asks for it. */
const CHANNEL_CODES = {
  'content-too-large': 311,
  'access-refused': 403,
  'not-found': 404,
  'resource-locked': 405,
  'precondition-failed': 406,
  'not-implemented': 540,
} as const;

/** Hard errors of AMQP 0-9-1 §1.2: they close the connection. 403 is one for a failed login, as in RabbitMQ. */
const CONNECTION_CODES = {
  'connection-forced': 320,
  'access-refused': 403,
  'frame-error': 501,
  'syntax-error': 502,
  'command-invalid': 503,
  'channel-error': 504,
  'unexpected-frame': 505,
  'not-allowed': 530,
  'not-implemented': 540,
  'internal-error': 541,
} as const;

export type ChannelCondition = keyof typeof CHANNEL_CODES;
export type ConnectionCondition = keyof typeof CONNECTION_CODES;

/** The text that basic.return carries with 312 (AMQP 0-9-1 §1.8.3.9). */
export const NO_ROUTE = { replyCode: 312, replyText: 'NO_ROUTE' } as const;

/** What ends a channel and leaves its connection alone. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly condition: ChannelCondition;

  constructor(condition: ChannelCondition, text: string, options?: ErrorOptions) {
    super(text, options);
    this.condition = condition;
  }

  get reply(): Reply {
    return replyWith(CHANNEL_CODES[this.condition], this.condition, this.message);
  }
}

interface ConnectionErrorOptions extends ErrorOptions {
  readonly methodId?: number;
}

/** What ends a connection. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly condition: ConnectionCondition;
  /** Class id and method id of the method it is about, as one number; 0 for none, undefined for the one being handled. */
  readonly methodId: number | undefined;

  constructor(condition: ConnectionCondition, text: string, options: ConnectionErrorOptions = {}) {
    super(text, options);
    this.condition = condition;
    this.methodId = options.methodId;
  }

  get reply(): Reply {
    return replyWith(CONNECTION_CODES[this.condition], this.condition, this.message);
  }
}

/** RabbitMQ's answer to channel.open on a channel that is open, or closed by one side only. */
export function secondOpen(): ConnectionError {
  return new ConnectionError('channel-error', "second 'channel.open' seen", { methodId: (20 << 16) | 10 });
}

interface Reply {
  readonly replyCode: number;
  readonly replyText: string;
}

/** Translates whatever was thrown; what nobody expected is an INTERNAL_ERROR, with its cause for the log. */
export function failureOf(error: unknown): ChannelError | ConnectionError {
  if (error instanceof ChannelError || error instanceof ConnectionError) return error;
  if (error instanceof BrokerError) return brokerFailure(error);
  if (error instanceof SpaceError) return spaceFailure(error);
  if (error instanceof CodecError && error.code !== 'unencodable') return codecFailure(error.code, error);
  return new ConnectionError('internal-error', 'the request failed inside the node', { cause: error });
}

function brokerFailure(error: BrokerError): ChannelError | ConnectionError {
  const options = { cause: error };
  switch (error.code) {
    case 'access-refused':
    case 'not-found':
    case 'resource-locked':
    case 'precondition-failed':
      return new ChannelError(error.code, error.message, options);
    case 'command-invalid':
    case 'not-allowed':
    case 'not-implemented':
      return new ConnectionError(error.code, error.message, options);
    default:
      return error.code satisfies never;
  }
}

function spaceFailure(error: SpaceError): ChannelError {
  const options = { cause: error };
  switch (error.code) {
    case 'invalid-argument':
    case 'conflict':
    case 'too-many':
      return new ChannelError('precondition-failed', error.message, options);
    case 'not-found':
      return new ChannelError('not-found', error.message, options);
    case 'refused':
      return new ChannelError('access-refused', error.message, options);
    case 'too-large':
      return new ChannelError('content-too-large', error.message, options);
    default:
      return error.code satisfies never;
  }
}

function codecFailure(code: Exclude<CodecError['code'], 'unencodable'>, cause: CodecError): ConnectionError {
  return new ConnectionError(code, cause.message, { cause });
}

/** RabbitMQ's form, which clients show and match: `NOT_FOUND - no queue 'q' in vhost '/'`. */
function replyWith(replyCode: number, condition: string, text: string): Reply {
  return { replyCode, replyText: shortText(`${condition.toUpperCase().replaceAll('-', '_')} - ${text}`) };
}

const MAX_REPLY_TEXT_BYTES = 255;
const ELLIPSIS = '...';

/** Cuts a text for people to what a short string holds, never within a character. Half a character becomes U+FFFD. */
function shortText(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_REPLY_TEXT_BYTES) return bytes.toString();
  let end = MAX_REPLY_TEXT_BYTES - ELLIPSIS.length;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end) + ELLIPSIS;
}
