import { Directory } from '../../src/dht-space/directory.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { startOverlayNode } from '../../src/dht-space/node.js';
import { SeedDialer } from '../../src/dht-space/seed-dialer.js';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { quietLogger } from './environment.js';

const LOOPBACK = '/ip4/127.0.0.1/tcp/0';

/** The control plane of one node, over real connections. */
export interface Peer {
  readonly node: OverlayNode;
  readonly seeds: SeedDialer;
  readonly directory: Directory;
  /** Where it listens, without its peer id. */
  readonly address: string;
  stop(): Promise<void>;
}

/** A peer that knows nobody; it is stopped after the test. */
export async function startPeer(listen = LOOPBACK): Promise<Peer> {
  const node = await startOverlayNode({ listen: [listen], logger: quietLogger });
  const seeds = new SeedDialer(node, { logger: quietLogger });
  const directory = new Directory(node, { logger: quietLogger });
  const address = node.addresses()[0]?.replace(/\/p2p\/.*/, '') ?? '';
  let stopped: Promise<void> | undefined;
  const stop = () => {
    seeds.stop();
    directory.stop();
    stopped ??= node.stop();
    return stopped;
  };
  teardown(stop);
  return { node, seeds, directory, address, stop };
}

/** Peers that were started one after the other, each with the one before as its only seed, and that all know each other. */
export async function startChain(length: number): Promise<readonly Peer[]> {
  const chain: Peer[] = [];
  while (chain.length < length) {
    const peer = await startPeer();
    const seed = chain.at(-1);
    if (seed !== undefined) await join(peer, seed);
    chain.push(peer);
  }
  await eventually(() => chain.every(({ node }) => node.routing.size === length - 1));
  return chain;
}

export async function join(peer: Peer, ...seeds: readonly Peer[]): Promise<void> {
  await peer.seeds.join(
    parseSeeds(
      seeds.map(({ address }) => address),
      'seeds',
    ),
  );
}

/** The ids of the members that a peer finds. */
export async function membersFoundBy({ directory }: Peer, space: string): Promise<string[]> {
  const found: string[] = [];
  for await (const peer of directory.findMembers(space)) found.push(peer.toString());
  return found.sort();
}

export function idsOf(peers: readonly Peer[]): string[] {
  return peers.map(({ node }) => node.id).sort();
}
