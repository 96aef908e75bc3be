import { join } from 'node:path';
import type { AliasStatus, Gateway, GatewayStatus } from './amqp-gateway/index.js';
import { contentFormat, createGateway, isLoopback, SpaceExchanges } from './amqp-gateway/index.js';
import { Broker, MemoryAccount } from './broker/index.js';
import { LevelStore } from './broker/store/index.js';
import type { Endpoint, NodeConfig, StorageConfig } from './config.js';
import type { Administered } from './control/index.js';
import { ControlServer } from './control/index.js';
import { CONTROL_SOCKET, GRANTS_FILE, IDENTITY_FILE, OVERLAY_FOLDER } from './data-dir.js';
import type { SpaceStatus, ToldAddress } from './dht-space/index.js';
import { startDht } from './dht-space/index.js';
import { grantAdministration, told } from './grant-administration.js';
import { NodeHomeBroker } from './home-broker/index.js';
import { ManagementServer } from './management/index.js';
import { heapEntryLimit } from './memory-limit.js';
import type { Logger, SpaceImplementation } from './overlay/index.js';
import { exchangeTypes } from './overlay/index.js';
import { PrototypeSpaces } from './prototype-space/index.js';
import { ConfigError } from './settings.js';
import { shortageOfEither } from './shortage.js';
import type { TlsFiles } from './tls-files.js';
import { readTlsFiles } from './tls-files.js';
import { version } from './version.js';

/** A running node. */
export interface Node {
  /** `amqp://host:port` of each listener. */
  readonly amqp: readonly string[];
  /** `amqps://host:port` likewise. */
  readonly amqps: readonly string[];
  /** Multiaddrs, with this node's peer id. */
  readonly overlay: readonly string[];
  readonly peerId: string;
  /** `http://host:port`; undefined: off. */
  readonly management: string | undefined;
  /** Reads the files of `tls-cert` and its like again, for who connects from now on. Those that are bad are not used. */
  reloadCertificates(): Promise<void>;
  /** A snapshot of its AMQP traffic, of its aliases, and of the `dht` spaces that it is in. */
  status(): NodeStatus;
  /** Drains connections, leaves all spaces and frees everything. */
  stop(): Promise<void>;
}

interface NodeStatus extends GatewayStatus {
  readonly aliases: readonly AliasStatus[];
  /** Where other nodes are told to reach this one in the overlay. */
  readonly overlay: readonly ToldAddress[];
  readonly spaces: readonly SpaceStatus[];
  /** How often what peers did was refused, by cause. */
  readonly refusals: Readonly<Record<string, number>>;
}

/** The composition root: configuration in, running node out. `further`: implementations beside the node's own. */
export async function startNode(
  config: NodeConfig,
  logger: Logger,
  further: readonly SpaceImplementation[] = [],
): Promise<Node> {
  // Before anything is started: there is much that can be wrong with files.
  const tls = config.tls && (await readTlsFiles(config.tls));
  const running: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (let close = running.pop(); close !== undefined; close = running.pop()) await close();
  };
  try {
    const memory = new MemoryAccount({ limitBytes: config.memoryLimitBytes, limitEntries: heapEntryLimit() });
    const store = await openStore(config, memory, logger);
    running.push(() => store?.close());
    const shortage = shortageOfEither(memory, store?.disk);
    const dht = await startDht({
      listen: config.overlayListen,
      reachability: config.reachability,
      name: config.name,
      identityFile: config.storage && join(config.storage.dataDir, IDENTITY_FILE),
      storeFolder: config.storage && join(config.storage.dataDir, OVERLAY_FOLDER),
      grantsFile: config.storage && join(config.storage.dataDir, GRANTS_FILE),
      logger,
      memory: shortage,
    });
    running.push(() => dht.close());
    const prototype = new PrototypeSpaces({ logger, memory: shortage, tlsCa: tls?.clientCa });
    const implementations = [dht, prototype, ...further];
    assertDistinct(implementations);
    for (const implementation of further) running.push(() => implementation.close());
    const spaceExchange = new SpaceExchanges(implementations, logger);
    const broker = new Broker({
      exchangeTypes,
      memory,
      storage: store,
      warn: (text, err) => logger.warn({ err }, text),
      restoreDecoration: (virtualHost, name, spec) =>
        spaceExchange.restoreDecoration(virtualHost, name, spec),
    });
    running.push(() => broker.stop());
    const homeBroker = new NodeHomeBroker({ broker, logger, advertise: config.amqpAdvertise });
    running.push(() => homeBroker.close());
    const gateway = createGateway({
      broker,
      memory,
      logger,
      spaceExchange,
      maxBodyBytes: config.maxMessageBytes,
      ...(tls && { tls }),
      ...(store && { disk: store.disk }),
      serverProperties: {
        cluster_name: config.name,
        xspace_version: version,
        overlay_addresses: [...dht.addresses],
      },
    });
    running.push(() => gateway.close());
    // Before the gateway: its members and its trackers are AMQP clients, of this node too.
    running.push(() => prototype.close());
    const status = (): NodeStatus => ({
      ...gateway.status(),
      aliases: spaceExchange.status(),
      overlay: dht.told,
      spaces: dht.status(),
      refusals: dht.refusals,
    });
    const administered: Administered = {
      broker,
      grants: grantAdministration(dht.grants),
      spaces: {
        deletePoint: (target) => told(dht.deletePoint(target)),
        status: () => ({ name: config.name, version, peerId: dht.peerId, ...status() }),
      },
    };
    const control = config.storage && (await listenForCommands(config.storage, administered, logger));
    running.push(() => control?.close());
    const management = await listenForManagement(config, administered, logger);
    running.push(() => management?.close());
    const amqp: Endpoint[] = [];
    for (const endpoint of config.amqpListen) amqp.push(await listen(gateway, 'amqp', endpoint));
    const amqps: Endpoint[] = [];
    for (const endpoint of config.amqpsListen) amqps.push(await listen(gateway, 'amqps', endpoint));
    homeBroker.listening([
      ...amqp.map((endpoint) => ({ ...endpoint, tls: false })),
      ...amqps.map((endpoint) => ({ ...endpoint, tls: true })),
    ]);
    prototype.start(homeBroker);
    if (config.seeds.length > 0) {
      // In the background: a node is of use to its own apps while nobody else is up.
      dht.bootstrap(config.seeds).catch((err: unknown) => logger.warn({ err }, 'no seed was reached yet'));
    }
    return {
      amqp: amqp.map((endpoint) => `amqp://${format(endpoint)}`),
      amqps: amqps.map((endpoint) => `amqps://${format(endpoint)}`),
      overlay: dht.addresses,
      peerId: dht.peerId,
      management: management && managementUrl(management),
      reloadCertificates: () => reload(gateway, config.tls, logger),
      status,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws ConfigError where two have one name: apps could not tell which they mean */
function assertDistinct(implementations: readonly SpaceImplementation[]): void {
  const problems = implementations.flatMap(({ name }, index) => {
    const isTaken = implementations.findIndex((other) => other.name === name) < index;
    return isTaken ? [`implementations: the name '${name}' is taken by another one`] : [];
  });
  if (problems.length > 0) throw new ConfigError(problems);
}

async function openStore(
  { storage }: NodeConfig,
  memory: MemoryAccount,
  logger: Logger,
): Promise<LevelStore | undefined> {
  if (storage === undefined) return undefined;
  const { dataDir, syncIntervalMs: intervalMs, diskLimitBytes } = storage;
  return LevelStore.open(dataDir, { intervalMs, diskLimitBytes, format: contentFormat, memory, logger });
}

function listenForCommands(
  { dataDir }: StorageConfig,
  administered: Administered,
  logger: Logger,
): Promise<ControlServer> {
  return ControlServer.listen(join(dataDir, CONTROL_SOCKET), administered, logger);
}

/** Undefined: none was asked for, or there is no place for one. @throws Error that names the setting */
async function listenForManagement(
  { management }: NodeConfig,
  administered: Administered,
  logger: Logger,
): Promise<ManagementServer | undefined> {
  if (management === undefined) return undefined;
  const { endpoint, isDefault } = management;
  const listenAt = (port: number) => ManagementServer.listen({ ...endpoint, port }, administered, logger);
  try {
    const server = await listenAt(endpoint.port);
    if (!isLoopback(server.address.host)) {
      const fields = { management: managementUrl(server) };
      logger.warn(fields, 'management is open to other machines, and passwords go there unencrypted');
    }
    return server;
  } catch (cause) {
    if (!isDefault) throw listenError('management-listen', endpoint, cause);
  }
  // Several nodes run on one machine, and most are never asked for theirs: that alone keeps none from starting.
  try {
    const server = await listenAt(0);
    logger.info({ management: managementUrl(server) }, `management is on another port than ${endpoint.port}`);
    return server;
  } catch (err) {
    logger.warn({ err }, `there is no management: ${endpoint.host} cannot be listened at`);
    return undefined;
  }
}

function managementUrl({ address }: ManagementServer): string {
  return `http://${format(address)}`;
}

async function reload(gateway: Gateway, tls: TlsFiles | undefined, logger: Logger): Promise<void> {
  if (tls === undefined) return;
  try {
    gateway.replaceCertificates(await readTlsFiles(tls));
    logger.info(tls, 'certificates were read again');
  } catch (err) {
    logger.error({ err }, 'the new certificates are not used, the old ones stay');
  }
}

/** What was bound. @throws Error that names the setting */
async function listen(gateway: Gateway, scheme: 'amqp' | 'amqps', endpoint: Endpoint): Promise<Endpoint> {
  try {
    return await gateway.listen(endpoint, scheme === 'amqps' ? 'tls' : 'tcp');
  } catch (cause) {
    throw listenError(`${scheme}-listen`, endpoint, cause);
  }
}

function listenError(setting: string, endpoint: Endpoint, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(`${setting} ${format(endpoint)}: ${reason}`, { cause });
}

function format({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
