import { parseConfig } from './config.js';
import { createLogger } from './logger.js';
import type { Node } from './node.js';
import { startNode } from './node.js';
import type { Logger, SpaceImplementation } from './overlay/index.js';
import type { RawConfig } from './settings.js';

/** Settings that are on or off. */
type Switch = 'inMemory' | 'mdns' | 'upnp' | 'relay';

/**
 * The settings of `xspace start` under their names, with its defaults, and what only a program can give. Environment
 * variables mean nothing here.
 */
export interface NodeOptions extends Omit<RawConfig, 'seeds' | Switch> {
  /** Overlay addresses of any nodes. */
  readonly seeds?: readonly string[];
  /** Keeps nothing. */
  readonly inMemory?: boolean;
  /** Finds nodes on the same network, and is found by them. */
  readonly mdns?: boolean;
  /** Has the router forward a port to this node. */
  readonly upnp?: boolean;
  /** Relays for nodes that cannot be dialled. */
  readonly relay?: boolean;
  /**
   * Further ways to manage spaces, beside the node's own. Each is known to apps by its name, as the declare argument
   * `implementation`, and is the node's from now on: `stop` closes it.
   */
  readonly implementations?: readonly SpaceImplementation[];
  /** In place of one that writes to standard error as `logLevel` and `logFormat` say. */
  readonly logger?: Logger;
}

/**
 * Starts a node within this process, for programs that embed one.
 *
 * @throws ConfigError naming each setting that is wrong; Error where it cannot listen, or its data cannot be used
 */
export async function createNode(options: NodeOptions = {}): Promise<Node> {
  const { implementations = [], logger, seeds, inMemory, mdns, upnp, relay, ...settings } = options;
  const config = parseConfig({
    ...settings,
    ...(seeds !== undefined && seeds.length > 0 && { seeds: seeds.join(',') }),
    inMemory: `${inMemory ?? false}`,
    mdns: `${mdns ?? false}`,
    upnp: `${upnp ?? false}`,
    relay: `${relay ?? false}`,
  });
  const { logLevel: level, logFormat: format, name } = config;
  return startNode(config, logger ?? createLogger({ level, format, name }), implementations);
}
