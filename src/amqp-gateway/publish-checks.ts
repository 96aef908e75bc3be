import type { PropertyName } from '../amqp-codec/index.js';
import { encodeShortString, PROPERTY_FLAGS } from '../amqp-codec/index.js';
import type { User } from '../broker/index.js';
import { DIRECT_REPLY_TO } from './direct-reply-to.js';
import { parseExpiration } from './expiration.js';
import type { ContentMessage } from './message.js';
import { ChannelError } from './reply-code.js';
import { senderSelected } from './sender-selected.js';

const {
  userId: USER_ID,
  expiration: EXPIRATION,
  headers: HEADERS,
  replyTo: REPLY_TO,
  deliveryMode: DELIVERY_MODE,
} = PROPERTY_FLAGS;

/** Properties that ask something of the broker. A message without them is not looked at. */
const CHECKED = USER_ID | EXPIRATION | HEADERS | REPLY_TO | DELIVERY_MODE;

const NO_KEYS: readonly string[] = [];

/** Who publishes. */
export interface Sender {
  readonly user: User;
  /** Where replies to `amq.rabbitmq.reply-to` go, if anywhere. */
  readonly replyTo: string | undefined;
}

/**
 * Checks the properties in RabbitMQ's order. Gives the message that is routed: with its own name for direct replies, and
 * without BCC.
 *
 * @throws ChannelError
 */
export function prepare(message: ContentMessage, sender: Sender): ContentMessage {
  const { flags } = message;
  if ((flags & CHECKED) === 0) return message;
  const prepared = (flags & REPLY_TO) === 0 ? message : withReplyTo(message, sender.replyTo);
  if ((flags & USER_ID) !== 0) checkUser(message, sender.user);
  if ((flags & EXPIRATION) !== 0) checkExpiration(message);
  const routable = (flags & HEADERS) === 0 ? prepared : withoutBcc(prepared);
  if ((flags & DELIVERY_MODE) !== 0) checkDeliveryMode(message);
  return routable;
}

function withReplyTo(message: ContentMessage, replyTo: string | undefined): ContentMessage {
  if (message.shortString('replyTo') !== DIRECT_REPLY_TO) return message;
  if (replyTo === undefined) {
    throw new ChannelError('precondition-failed', 'fast reply consumer does not exist');
  }
  return message.edited(new Map<PropertyName, Buffer>([['replyTo', encodeShortString(replyTo)]]));
}

/** RabbitMQ: the user-id of a message, if any, is who published it, unless that is one who may stand for others. */
function checkUser(message: ContentMessage, { name, tags }: User): void {
  const userId = message.shortString('userId');
  if (userId === name || tags.includes('impersonator')) return;
  const text = `user_id property set to '${userId}' but authenticated user was '${name}'`;
  throw new ChannelError('precondition-failed', text);
}

function checkExpiration(message: ContentMessage): void {
  const text = message.shortString('expiration') ?? '';
  const parsed = parseExpiration(text);
  if (typeof parsed === 'number') return;
  throw new ChannelError('precondition-failed', `invalid expiration '${text}': ${parsed.problem}`);
}

/** AMQP 0-9-1 §1.8.1: 1 or 2. */
function checkDeliveryMode(message: ContentMessage): void {
  const { deliveryMode } = message;
  if (deliveryMode === 1 || deliveryMode === 2) return;
  throw new ChannelError('precondition-failed', `invalid message: {delivery_mode_unknown,${deliveryMode}}`);
}

function withoutBcc(message: ContentMessage): ContentMessage {
  const { bytes, headerStart, headerEnd, flags } = message;
  const selected = senderSelected(bytes, headerStart, headerEnd, flags);
  if (selected === undefined) {
    message.knownKeys = NO_KEYS;
    return message;
  }
  const { keys, headersWithoutBcc, problem } = selected;
  if (problem !== undefined) {
    const text = `{unacceptable_type_in_header,"${problem.header}",${problem.type}}`;
    throw new ChannelError('precondition-failed', `invalid message: ${text}`);
  }
  const edits = new Map<PropertyName, Buffer | undefined>([['headers', headersWithoutBcc]]);
  const prepared = headersWithoutBcc === undefined ? message : message.edited(edits);
  prepared.knownKeys = keys;
  return prepared;
}
