import { isIPv4, isIPv6 } from 'node:net';
import type { Broker, User } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import type { MethodArguments } from './codec/index.js';
import { decodeTable } from './codec/index.js';
import { capabilitiesIn } from './peer-properties.js';
import { ConnectionError } from './reply-code.js';

interface Credentials {
  readonly name: string;
  readonly password: string;
}

/** How a client's response is read, by the mechanism it picked. */
const MECHANISMS: ReadonlyMap<string, (response: Buffer) => Credentials> = new Map([
  ['PLAIN', plain],
  ['AMQPLAIN', amqplain],
]);

/** What connection.start offers. */
export const MECHANISM_NAMES = [...MECHANISMS.keys()].join(' ');

/** The login was refused; why is for the log, not for the client. */
export class LoginRefused extends ConnectionError {
  /** RabbitMQ's extension: other clients take a closed socket for a refused login, and know no more. */
  readonly clientWantsReply: boolean;

  constructor(mechanism: string, cause: BrokerError, clientWantsReply: boolean) {
    const text = `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;
    super('access-refused', text, { cause });
    this.clientWantsReply = clientWantsReply;
  }
}

/** @throws LoginRefused, ConnectionError */
export function authenticate(
  broker: Broker,
  { clientProperties, mechanism, response }: MethodArguments<'connection.start-ok'>,
  remoteAddress: string | undefined,
): User {
  const read = MECHANISMS.get(mechanism);
  if (read === undefined) {
    throw new ConnectionError('command-invalid', `unknown authentication mechanism '${mechanism}'`);
  }
  const { name, password } = read(response);
  try {
    return broker.authenticate(name, password, { loopback: isLoopback(remoteAddress) });
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    const wantsReply = capabilitiesIn(clientProperties).has('authentication_failure_close');
    throw new LoginRefused(mechanism, error, wantsReply);
  }
}

/** RFC 4616: authorisation id, which may be empty and is not used, NUL, name, NUL, password. */
function plain(response: Buffer): Credentials {
  const [, name, password, ...rest] = response.toString('utf8').split('\0');
  if (name === undefined || password === undefined || rest.length > 0) {
    throw new ConnectionError(
      'syntax-error',
      'response of mechanism PLAIN: expected authzid NUL name NUL password',
    );
  }
  return { name, password };
}

/** The mechanism of AMQP 0-8, which RabbitMQ still offers: a field table without its length. */
function amqplain(response: Buffer): Credentials {
  const { LOGIN: name, PASSWORD: password } = decodeTable(response, 0, response.length);
  if (typeof name !== 'string' || typeof password !== 'string') {
    throw new ConnectionError(
      'syntax-error',
      'response of mechanism AMQPLAIN: expected strings LOGIN and PASSWORD',
    );
  }
  return { name, password };
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plainAddress = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  if (isIPv4(plainAddress)) return plainAddress.startsWith('127.');
  return isIPv6(plainAddress) && plainAddress === '::1';
}
