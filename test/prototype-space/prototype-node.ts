import type { Gateway } from '../../src/amqp-gateway/index.js';
import { createGateway } from '../../src/amqp-gateway/index.js';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { NodeHomeBroker } from '../../src/home-broker/index.js';
import type { JoinRequest, SpaceDeclaration, SpaceHandle } from '../../src/overlay/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { PrototypeSpaces } from '../../src/prototype-space/index.js';
import { LogStub } from '../dht-space/log-stub.js';
import type { ContractNode } from '../overlay/contract/topology.js';
import type { Certificate } from '../support/certificates.js';

const PLENTY_BYTES = 1024 * 1024 * 1024;
const HOST = '127.0.0.1';

/** Which node holds a space: what an app knows that joins it. */
export type Places = Map<string, PrototypeNode>;

export interface NodeSettings {
  /** Where an earlier node was. */
  readonly port?: number;
  /** For the waits between attempts. */
  readonly random?: () => number;
  /** Other members are told to come by TLS, and the authority vouches for them all. */
  readonly tls?: { readonly own: Certificate; readonly authority: Certificate };
}

/**
 * A node with the implementation `prototype` and the broker that it needs, without the exchanges of apps: tests call the
 * implementation. In place of the app it says which broker holds a space, and makes the exchange of a space.
 */
export class PrototypeNode implements ContractNode {
  readonly log = new LogStub();
  readonly broker: Broker;
  readonly gateway: Gateway;
  readonly spaces: PrototypeSpaces;
  readonly implementation: ContractNode['implementation'];
  #home: NodeHomeBroker | undefined;
  #advertise: { readonly host: string; readonly port: number; readonly tls: boolean } | undefined;
  readonly #places: Places;
  #port = 0;
  #stopped: Promise<void> | undefined;

  private constructor(places: Places, { random, tls }: NodeSettings) {
    const memory = new MemoryAccount({ limitBytes: PLENTY_BYTES, limitEntries: 10_000_000 });
    this.broker = new Broker({ exchangeTypes, memory });
    const material = tls && { certificate: tls.own.cert, key: tls.own.key, clientCa: undefined };
    this.gateway = createGateway({
      broker: this.broker,
      memory,
      logger: this.log,
      ...(material && { tls: material }),
    });
    this.spaces = new PrototypeSpaces({
      logger: this.log,
      memory,
      tlsCa: tls?.authority.cert,
      ...(random && { random }),
    });
    this.#places = places;
    this.implementation = {
      name: 'prototype',
      declareSpace: (declaration) => this.#declareSpace(declaration),
      join: (request, receiver, options) => this.spaces.join(this.#addressed(request), receiver, options),
      close: () => this.spaces.close(),
    };
  }

  static async start(places: Places, { port = 0, ...settings }: NodeSettings = {}): Promise<PrototypeNode> {
    const node = new PrototypeNode(places, settings);
    const listeners = [{ ...(await node.gateway.listen({ host: HOST, port })), tls: false }];
    node.#port = listeners[0]?.port ?? 0;
    if (settings.tls !== undefined) {
      const { port: tlsPort } = await node.gateway.listen({ host: HOST, port: 0 }, 'tls');
      node.#advertise = { host: 'localhost', port: tlsPort, tls: true };
    }
    const { broker, log: logger } = node;
    const home = new NodeHomeBroker({ broker, logger, advertise: node.#advertise });
    node.#home = home;
    home.listening(listeners);
    node.spaces.start(home);
    return node;
  }

  /** Where an app says that the space is held. */
  get place(): { readonly host: string; readonly port: number; readonly tls?: boolean } {
    return this.#advertise ?? { host: HOST, port: this.#port };
  }

  settings(): Record<string, unknown> {
    return {};
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  kill(): Promise<void> {
    return this.stop();
  }

  /** It cannot be reached any more, and nobody is told that it is gone. */
  async vanish(): Promise<void> {
    await this.gateway.close();
  }

  async #stop(): Promise<void> {
    await this.spaces.close();
    this.#home?.close();
    await this.gateway.close();
    this.broker.stop();
  }

  #addressed(request: JoinRequest): JoinRequest {
    const holder = this.#places.get(request.space) ?? this;
    return { ...request, settings: { ...holder.place, ...request.settings } };
  }

  async #declareSpace({ space, settings }: SpaceDeclaration): Promise<SpaceHandle> {
    const holder = this.#places.get(space) ?? this;
    const elsewhere = holder === this ? settings : { ...holder.place, ...settings };
    const home = { virtualHost: '/', durable: false };
    const handle = await this.spaces.declareSpace({ space, settings: elsewhere, home });
    this.#places.set(space, this);
    const virtualHost = this.broker.virtualHost('/');
    const spec = { type: 'direct', durable: false, autoDelete: false, internal: false, arguments: {} };
    virtualHost?.declareExchange(space, spec);
    await handle.opened?.();
    return {
      close: () => handle.close(),
      delete: async () => {
        virtualHost?.deleteExchange(space, { ifUnused: false });
        await handle.delete();
      },
    };
  }
}
