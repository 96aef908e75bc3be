import type { Logger, MemoryPressure } from '../overlay/index.js';
import { DhtSpaces } from './dht-spaces.js';
import { GrantBook } from './grant-book.js';
import { loadIdentity } from './identity.js';
import { startOverlayNode } from './node.js';
import { OverlayStore } from './overlay-store.js';
import type { ReachabilityOptions } from './reachability.js';

export interface DhtOptions {
  /** Overlay addresses to listen on, as multiaddrs; port 0 picks one. */
  readonly listen: readonly string[];
  /** Otherwise others dial its listeners, and nothing else is done. */
  readonly reachability?: ReachabilityOptions | undefined;
  /** Where this node's key is kept. Without it every start has a new identity. */
  readonly identityFile?: string | undefined;
  /** Where grants are kept: those signed, held and revoked. Without it, until the node stops. */
  readonly grantsFile?: string | undefined;
  /** Where it is kept what this node knows of others. Without it every start knows nobody. */
  readonly storeFolder?: string | undefined;
  /** Told to peers, for people. */
  readonly name: string;
  readonly logger: Logger;
  readonly memory: MemoryPressure;
  /** Milliseconds since 1970, and random numbers below 1; of the system if left out. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Starts this node's part of the overlay: it listens, and is in no space yet. */
export async function startDht(options: DhtOptions): Promise<DhtSpaces> {
  const { identityFile, grantsFile, storeFolder, listen, reachability, logger } = options;
  // First: whoever has it may exchange the key.
  const store = storeFolder === undefined ? undefined : await OverlayStore.open(storeFolder, logger);
  try {
    const grants = await GrantBook.open(grantsFile, options.now);
    const identity = identityFile === undefined ? {} : { privateKey: await loadIdentity(identityFile) };
    const node = await startOverlayNode({ listen, reachability, logger, store, ...identity });
    const spaces = new DhtSpaces(node, options, { store, grants });
    await spaces.start();
    return spaces;
  } catch (error) {
    await store?.close();
    throw error;
  }
}
