import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import { isLoopback } from '../amqp-gateway/index.js';
import type { Broker, User } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import { HttpError } from './http-error.js';

/** RabbitMQ's tag for who may change anything. */
const ADMINISTRATOR = 'administrator';
/** RFC 7617: which scheme, and that names and passwords are in UTF-8. */
const CHALLENGE = { 'www-authenticate': 'Basic realm="xspace", charset="UTF-8"' };

/** A name or a password was wrong: 401, as where there was none, but only after a while. */
export class LoginRefused extends HttpError {
  constructor(cause: BrokerError) {
    super(401, 'the login was refused', { headers: CHALLENGE, cause });
  }
}

/** The user of the node, tagged `administrator`, who has sent this. @throws HttpError, LoginRefused */
export async function administratorOf({ headers, socket }: IncomingMessage, broker: Broker): Promise<User> {
  const loopback = isLoopback(socket.remoteAddress);
  if (loopback) assertNoRebinding(headers.host);
  const { name, password } = credentialsIn(headers.authorization);
  const user = await broker.users.authenticate(name, password, { loopback }).catch((error: unknown) => {
    throw error instanceof BrokerError ? new LoginRefused(error) : error;
  });
  if (user.tags.includes(ADMINISTRATOR)) return user;
  throw new HttpError(403, `user '${name}' is not tagged '${ADMINISTRATOR}'`);
}

/** RFC 7617. */
function credentialsIn(authorization: string | undefined): {
  readonly name: string;
  readonly password: string;
} {
  const [, base64 = ''] = /^basic +([a-z0-9+/]+=*)$/i.exec(authorization ?? '') ?? [];
  const text = Buffer.from(base64, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new HttpError(401, 'expected HTTP Basic authentication', { headers: CHALLENGE });
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/**
 * A web page can have its own name lead to this machine (DNS rebinding), where `guest` is let in. The browser then names the
 * page's host, which is no address.
 */
function assertNoRebinding(host: string | undefined): void {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host ?? '') ?? [];
  const isOwn =
    bracketed === undefined ? isIPv4(plain) || plain.toLowerCase() === 'localhost' : isIPv6(bracketed);
  if (isOwn) return;
  throw new HttpError(403, `host: on this machine expected 'localhost' or an address, found '${host ?? ''}'`);
}
