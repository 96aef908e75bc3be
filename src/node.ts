import type { Logger } from 'pino';
import type { Gateway } from './amqp-gateway/index.js';
import { createGateway, SpaceExchanges } from './amqp-gateway/index.js';
import { Broker, MemoryAccount } from './broker/index.js';
import type { Endpoint, NodeConfig } from './config.js';
import { startDht } from './dht-space/index.js';
import { heapEntryLimit } from './memory-limit.js';
import { exchangeTypes } from './overlay/index.js';
import { version } from './version.js';

/** A running node. */
export interface Node {
  /** `amqp://host:port` of each listener. */
  readonly amqp: readonly string[];
  /** Multiaddrs, with this node's peer id. */
  readonly overlay: readonly string[];
  readonly peerId: string;
  /** Drains connections, leaves all spaces and frees everything. */
  stop(): Promise<void>;
}

/** The composition root: configuration in, running node out. */
export async function startNode(config: NodeConfig, logger: Logger): Promise<Node> {
  const memory = new MemoryAccount({ limitBytes: config.memoryLimitBytes, limitEntries: heapEntryLimit() });
  const broker = new Broker({ exchangeTypes, memory });
  const dht = await startDht({ listen: config.overlayListen, name: config.name, logger, memory });
  const gateway = createGateway({
    broker,
    memory,
    logger,
    spaceExchange: new SpaceExchanges([dht], logger),
    serverProperties: { version, overlay_addresses: [...dht.addresses] },
  });
  const stop = async (): Promise<void> => {
    await gateway.close();
    await dht.close();
  };
  try {
    const amqp: string[] = [];
    for (const endpoint of config.amqpListen) amqp.push(`amqp://${await listen(gateway, endpoint)}`);
    if (config.seeds.length > 0) {
      // In the background: a node is of use to its own apps while nobody else is up.
      dht.bootstrap(config.seeds).catch((err: unknown) => logger.warn({ err }, 'no seed was reached yet'));
    }
    return { amqp, overlay: dht.addresses, peerId: dht.peerId, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address that was bound, as `host:port`. @throws Error that names the setting */
async function listen(gateway: Gateway, endpoint: Endpoint): Promise<string> {
  try {
    return format(await gateway.listen(endpoint));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`amqp-listen ${format(endpoint)}: ${reason}`, { cause });
  }
}

function format({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
