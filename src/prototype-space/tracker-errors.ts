import { SpaceError } from '../overlay/index.js';
import type { TrackerAddress } from './settings.js';
import { textOf } from './text-of.js';

// AMQP 0-9-1 §1.1, reply codes.
const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;
const NOT_ALLOWED = 530;

/** What stands in amqplib's errors for a connection that the broker closed in the handshake. */
const REPLY_CODE = /(?:terminated by server|by server): (\d{3})/;
/** And for the answer to connection.open that is none, whose code it does not tell. */
const NOT_OPENED = /Expected ConnectionOpenOk; got <ConnectionClose/;

/** What an error of amqplib means for whoever wants to join the space. Texts name host and port, and no password. */
export function explained(error: unknown, address: TrackerAddress, space: string): SpaceError {
  if (error instanceof SpaceError) return error;
  const { username, virtualHost, port } = address;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const at = `${host}:${port}`;
  const text = messageOf(error);
  const refused = (what: string): SpaceError => new SpaceError('refused', what, { cause: error });
  const notFound = (what: string): SpaceError => new SpaceError('not-found', what, { cause: error });
  switch (codeOf(error, text)) {
    case ACCESS_REFUSED:
      if (!text.includes('exchange')) {
        return refused(`login of user '${username}' was refused at ${at}: no such user, or another password`);
      }
      return refused(`user '${username}' has no write permission for exchange '${space}' at ${at}`);
    case NOT_FOUND:
      return notFound(`no exchange space '${space}' in vhost '${virtualHost}' at ${at}`);
    case NOT_ALLOWED:
      return refused(`user '${username}' may not enter vhost '${virtualHost}' at ${at}, or there is none`);
    default:
      return notFound(`exchange space '${space}': the broker at ${at} cannot be reached: ${text}`);
  }
}

/** Of the reply that closed a channel or a connection; undefined: no reply did. */
function codeOf(error: unknown, text: string): number | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number') {
    return error.code;
  }
  if (NOT_OPENED.test(text)) return NOT_ALLOWED;
  const [, digits] = REPLY_CODE.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** With several addresses for a name, Node says why each of them failed. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(messageOf))].join('; ');
  }
  return textOf(error);
}
