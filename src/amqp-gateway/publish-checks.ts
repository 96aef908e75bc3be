import type { Properties } from './codec/index.js';
import { decodeProperties, PROPERTY_FLAGS } from './codec/index.js';
import type { ContentMessage } from './message.js';
import { ChannelError, ConnectionError } from './reply-code.js';

const { userId: USER_ID, expiration: EXPIRATION, headers: HEADERS, replyTo: REPLY_TO } = PROPERTY_FLAGS;

/** Properties that ask something of the broker. A message without them is not looked at. */
const CHECKED = USER_ID | EXPIRATION | HEADERS | REPLY_TO;

/** RabbitMQ's direct reply-to: a queue that is none. */
const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

/** `flags`: which properties the message has. */
export function checkProperties(message: ContentMessage, flags: number, userName: string): void {
  if ((flags & CHECKED) === 0) return;
  if ((flags & USER_ID) !== 0) checkUser(message, userName);
  if ((flags & EXPIRATION) !== 0) {
    throw new ConnectionError('not-implemented', "property 'expiration': messages do not expire here yet");
  }
  if ((flags & HEADERS) !== 0 && asksForCopies(message)) {
    throw new ConnectionError('not-implemented', "headers 'CC' and 'BCC': copies are not delivered here yet");
  }
  if ((flags & REPLY_TO) !== 0 && asksForDirectReply(message)) {
    throw new ChannelError('precondition-failed', 'fast reply consumer does not exist');
  }
}

/** RabbitMQ: the user-id of a message, if any, is who published it. */
function checkUser(message: ContentMessage, userName: string): void {
  const { userId } = propertiesOf(message);
  if (userId === userName) return;
  const text = `user_id property set to '${userId}' but authenticated user was '${userName}'`;
  throw new ChannelError('precondition-failed', text);
}

/** RabbitMQ's sender-selected distribution. */
function asksForCopies(message: ContentMessage): boolean {
  if (!mentions(message, 'CC')) return false;
  const { CC, BCC } = message.headers();
  return CC !== undefined || BCC !== undefined;
}

function asksForDirectReply(message: ContentMessage): boolean {
  return mentions(message, DIRECT_REPLY_TO) && propertiesOf(message).replyTo === DIRECT_REPLY_TO;
}

/** Whether a text occurs in the octets of the header, wherever; saves decoding those where it does not. */
function mentions(message: ContentMessage, text: string): boolean {
  return message.bytes.subarray(message.headerStart, message.headerEnd).includes(text, 0, 'latin1');
}

function propertiesOf(message: ContentMessage): Properties {
  return decodeProperties(message.bytes, message.headerStart, message.headerEnd);
}
