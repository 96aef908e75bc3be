import { isIP } from 'node:net';

/**
 * What is wrong with what other members are told, as far as can be told from here; undefined: nothing.
 *
 * @param host where they are told to reach this node
 * @param localAddress this side of the connection to the tracker
 */
export function problemWithAdvertised(host: string, localAddress: string | undefined): string | undefined {
  if (!isLoopback(host) || localAddress === undefined || isLoopback(localAddress)) return undefined;
  return `members on other hosts cannot reach this node at ${host}: set amqp-advertise, or amqp-listen`;
}

/** The address without the prefix of IPv4 addresses that came over an IPv6 socket. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function isLoopback(host: string): boolean {
  const plain = plainAddress(host);
  return plain === 'localhost' || plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
