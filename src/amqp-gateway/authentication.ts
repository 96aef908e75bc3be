import { isIPv4, isIPv6 } from 'node:net';
import type { MethodArguments } from '../amqp-codec/index.js';
import { CodecError, decodeTable } from '../amqp-codec/index.js';
import type { Broker, User } from '../broker/index.js';
import { BrokerError } from '../broker/index.js';
import { capabilitiesIn } from './peer-properties.js';
import { ConnectionError } from './reply-code.js';

/** What a client's connection says about it before it says anything itself. */
export interface Peer {
  readonly address: string | undefined;
  /** The common name in its certificate, which TLS has verified; undefined where it has shown none. */
  readonly certificateName: string | undefined;
}

type Credentials =
  | { readonly type: 'password'; readonly name: string; readonly password: string }
  | { readonly type: 'certificate'; readonly name: string };

/** How a client's response is read, by the mechanism it picked. */
const MECHANISMS: ReadonlyMap<string, (response: Buffer, peer: Peer) => Credentials> = new Map([
  ['PLAIN', plain],
  ['AMQPLAIN', amqplain],
  ['EXTERNAL', external],
]);

/** What connection.start offers: RFC 4422 appendix A, EXTERNAL is for who has shown a certificate. */
export function mechanismsFor({ certificateName }: Peer): string {
  const names = [...MECHANISMS.keys()];
  return (certificateName === undefined ? names.filter((name) => name !== 'EXTERNAL') : names).join(' ');
}

/** The response is not one of its mechanism, or there is no such mechanism. */
class MalformedLogin extends Error {
  override readonly name = 'MalformedLogin';
}

/** The login was refused; why is for the log, not for the client. */
export class LoginRefused extends ConnectionError {
  /**
   * Whether the client is told. RabbitMQ tells those that know its extension, unless their response made no sense;
   * others take a closed socket for a refused login, and know no more.
   */
  readonly told: boolean;

  constructor(mechanism: string, cause: Error, told: boolean) {
    const text = `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;
    super('access-refused', text, { cause });
    this.told = told;
  }
}

/** @throws LoginRefused */
export async function authenticate(
  broker: Broker,
  { clientProperties, mechanism, response }: MethodArguments<'connection.start-ok'>,
  peer: Peer,
): Promise<User> {
  const options = { loopback: isLoopback(peer.address) };
  try {
    const read = MECHANISMS.get(mechanism);
    if (read === undefined) throw new MalformedLogin(`unknown authentication mechanism '${mechanism}'`);
    const credentials = read(response, peer);
    if (credentials.type === 'certificate') return broker.users.admit(credentials.name, options);
    return await broker.users.authenticate(credentials.name, credentials.password, options);
  } catch (error) {
    const malformed = error instanceof MalformedLogin || error instanceof CodecError;
    if (!malformed && !(error instanceof BrokerError)) throw error;
    const told = !malformed && capabilitiesIn(clientProperties).has('authentication_failure_close');
    throw new LoginRefused(mechanism, error, told);
  }
}

/** RFC 4616: NUL, name, NUL, password. As in RabbitMQ, nobody may act for another, so an authorisation id is refused. */
function plain(response: Buffer): Credentials {
  const [authorizationId, name, password, ...rest] = response.toString('utf8').split('\0');
  if (authorizationId !== '' || name === undefined || password === undefined || rest.length > 0) {
    throw new MalformedLogin('response of mechanism PLAIN: expected NUL name NUL password');
  }
  return { type: 'password', name, password };
}

/** The mechanism of AMQP 0-8, which RabbitMQ still offers: a field table without its length. */
function amqplain(response: Buffer): Credentials {
  const { LOGIN: name, PASSWORD: password } = decodeTable(response, 0, response.length);
  if (name === undefined || password === undefined) {
    throw new MalformedLogin('response of mechanism AMQPLAIN: expected LOGIN and PASSWORD');
  }
  if (typeof name !== 'string' || typeof password !== 'string') {
    throw new BrokerError('access-refused', 'mechanism AMQPLAIN: LOGIN and PASSWORD are no strings');
  }
  return { type: 'password', name, password };
}

/** The response would be an authorisation id; as in RabbitMQ it is not looked at. */
function external(_: Buffer, { certificateName }: Peer): Credentials {
  if (certificateName === undefined) throw new MalformedLogin('mechanism EXTERNAL: no client certificate');
  return { type: 'certificate', name: certificateName };
}

/** Whether who has this address is on this machine. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plainAddress = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  if (isIPv4(plainAddress)) return plainAddress.startsWith('127.');
  return isIPv6(plainAddress) && plainAddress === '::1';
}
