import type { ChannelModel } from 'amqplib';
import { connect } from 'amqplib';
import type { AliasHandler, Gateway } from '../../src/amqp-gateway/index.js';
import { createGateway } from '../../src/amqp-gateway/index.js';
import type { VirtualHost } from '../../src/broker/index.js';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import type { LevelStore } from '../../src/broker/store/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { RawClient } from './amqp-raw-client.js';
import { teardown } from './teardown.js';

const PLENTY_BYTES = 1024 * 1024 * 1024;

export interface TestGateway {
  readonly gateway: Gateway;
  readonly broker: Broker;
  readonly virtualHost: VirtualHost;
  readonly memory: MemoryAccount;
  readonly port: number;
  readonly url: string;
  /** What the gateway logged, as `level text`. */
  readonly log: readonly string[];
  /** A client of its own with unmodified amqplib. */
  connect(options?: { heartbeat?: number; frameMax?: number; channelMax?: number }): Promise<ChannelModel>;
  /** A client that sends any octets one wants, connected and not yet greeted. */
  raw(): Promise<RawClient>;
  /** A raw client after the handshake, with channel 1 open. */
  rawChannel(capabilities?: readonly string[]): Promise<RawClient>;
}

/** A gateway in this process, on a port of its own; it is closed after the test, and its clients with it. */
export async function startGateway(
  options: {
    readonly memoryBytes?: number;
    readonly spaceExchange?: AliasHandler;
    /** What is durable goes here; the test opens and closes it. */
    readonly store?: LevelStore;
    readonly maxBodyBytes?: number;
  } = {},
): Promise<TestGateway> {
  const memory = new MemoryAccount({
    limitBytes: options.memoryBytes ?? PLENTY_BYTES,
    limitEntries: 10_000_000,
  });
  const { store } = options;
  const broker = new Broker({ exchangeTypes, memory, storage: store });
  teardown(() => broker.stop());
  const log: string[] = [];
  const at = (level: string) => (_: object, text: string) => {
    log.push(`${level} ${text}`);
  };
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const { spaceExchange, maxBodyBytes } = options;
  const gateway = createGateway({
    broker,
    memory,
    logger,
    serverProperties: { xspace_version: '1.2.3', overlay_addresses: ['/ip4/127.0.0.1/tcp/4672'] },
    ...(spaceExchange && { spaceExchange }),
    ...(store && { disk: store.disk }),
    ...(maxBodyBytes !== undefined && { maxBodyBytes }),
  });
  const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 });
  teardown(() => gateway.close());

  const virtualHost = broker.virtualHost('/');
  if (virtualHost === undefined) throw new Error("no vhost '/'");
  const raw = async () => {
    const client = await RawClient.connect(port);
    teardown(() => client.destroy());
    return client;
  };
  return {
    gateway,
    broker,
    virtualHost,
    memory,
    port,
    log,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    raw,
    async connect(query = {}) {
      const client = await connect(
        { protocol: 'amqp', hostname: '127.0.0.1', port, ...query },
        { noDelay: true },
      );
      client.on('error', () => {});
      teardown(() => client.close().catch(() => {}));
      return client;
    },
    async rawChannel(capabilities = []) {
      const client = await raw();
      await client.open({ capabilities });
      await client.call('channel.open', {}, 'channel.open-ok');
      return client;
    },
  };
}
