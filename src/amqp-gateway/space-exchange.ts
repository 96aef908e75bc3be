import type {
  Exchange,
  ExchangeDecoration,
  ExchangeHooks,
  ExchangeSpec,
  Message,
  VirtualHost,
} from '../broker/index.js';
import type {
  FieldTable,
  JoinRequest,
  Logger,
  Pattern,
  PointSession,
  PointStatus,
  SpaceHandle,
  SpaceImplementation,
} from '../overlay/index.js';
import { exchangeType, SpaceError } from '../overlay/index.js';
import { assertEqualArguments, parseAliasArguments, parseSpaceArguments } from './alias-arguments.js';
import type { AliasDeclaration, AliasHandler } from './alias-handler.js';
import { AliasReceiver } from './alias-receiver.js';
import { ContentMessage } from './message.js';
import { RedeclaringHandle, RejoiningSession } from './rejoining.js';

const SPACE = 'x-exchangespace';
const ALIAS = 'x-exchange';
/** The paper's other word for it. */
const ALIAS_SYNONYM = 'x-exchange-point';

/** What stands behind an exchange that is more than one, and the arguments it was declared with, normalised. */
type Counterpart =
  | { readonly kind: 'space'; readonly declared: FieldTable; readonly handle: SpaceHandle }
  | {
      readonly kind: 'alias';
      readonly declared: FieldTable;
      readonly session: PointSession;
      readonly identity: Omit<AliasStatus, 'point'> & { readonly pointName: string };
    };

/** An alias and what has become of its point: a snapshot. */
export interface AliasStatus {
  readonly virtualHost: string;
  readonly exchange: string;
  readonly implementation: string;
  readonly space: string;
  readonly point: { readonly name: string } & PointStatus;
}

/**
 * Where AMQP meets the overlay: an exchange of type `x-exchange` is the local alias of a point, one of type
 * `x-exchangespace` is the local handle of a space. Everything else about them is as for any exchange.
 */
export class SpaceExchanges implements AliasHandler {
  readonly #implementations: ReadonlyMap<string, SpaceImplementation>;
  readonly #logger: Logger;
  /** By the hooks of their exchanges. */
  readonly #counterparts = new Map<ExchangeHooks, Counterpart>();
  /** Declares under way, by virtual host and name: another one of the same name waits for it. */
  readonly #pending = new Map<string, Promise<void>>();

  constructor(implementations: readonly SpaceImplementation[], logger: Logger) {
    this.#implementations = new Map(implementations.map((one) => [one.name, one]));
    this.#logger = logger;
  }

  /** All aliases of the node, in no particular order. */
  status(): readonly AliasStatus[] {
    return [...this.#counterparts.values()].flatMap((counterpart) => {
      if (counterpart.kind === 'space') return [];
      const { pointName, ...identity } = counterpart.identity;
      return [{ ...identity, point: { name: pointName, ...counterpart.session.status() } }];
    });
  }

  declares(type: string): boolean {
    return type === SPACE || type === ALIAS || type === ALIAS_SYNONYM;
  }

  refusesTransactions(virtualHost: VirtualHost, exchange: string): boolean {
    return this.#find(virtualHost, exchange)?.kind === 'alias';
  }

  async declare(virtualHost: VirtualHost, declaration: AliasDeclaration, signal: AbortSignal): Promise<void> {
    const spec = normalise(declaration);
    const key = `${virtualHost.name}\0${spec.name}`;
    for (let pending = this.#pending.get(key); pending !== undefined; pending = this.#pending.get(key)) {
      await pending.catch(() => {});
    }
    signal.throwIfAborted();
    const declaring =
      spec.type === SPACE
        ? this.#declareSpace(virtualHost, spec, signal)
        : this.#join(virtualHost, spec, signal);
    this.#pending.set(key, declaring);
    try {
      await declaring;
    } finally {
      this.#pending.delete(key);
    }
  }

  /**
   * Takes up an exchange again that an earlier start of the node declared: what it stands for is joined in the
   * background. Undefined for types that are declared elsewhere.
   *
   * @throws SpaceError when the arguments are none that were ever accepted
   */
  restoreDecoration(
    virtualHost: VirtualHost,
    name: string,
    { type, arguments: args }: ExchangeSpec,
  ): ExchangeDecoration | undefined {
    if (type === SPACE) return this.#restoreSpace(virtualHost, name, args);
    return type === ALIAS ? this.#restoreAlias(virtualHost, name, args) : undefined;
  }

  delete(
    virtualHost: VirtualHost,
    name: string,
    options: { readonly ifUnused: boolean },
  ): Promise<void> | undefined {
    const hooks = virtualHost.findExchange(name)?.hooks;
    const counterpart = hooks && this.#counterparts.get(hooks);
    if (hooks === undefined || counterpart === undefined) return undefined;
    // First, so that the exchange's hook has nothing left to close: deleting is more than that.
    this.#counterparts.delete(hooks);
    try {
      virtualHost.deleteExchange(name, options);
    } catch (error) {
      this.#counterparts.set(hooks, counterpart);
      throw error;
    }
    if (counterpart.kind === 'space') return counterpart.handle.delete();
    return this.#left(counterpart.session.leave(), name);
  }

  #find(virtualHost: VirtualHost, name: string): Counterpart | undefined {
    const hooks = virtualHost.findExchange(name)?.hooks;
    return hooks && this.#counterparts.get(hooks);
  }

  // --- spaces ---

  async #declareSpace(virtualHost: VirtualHost, spec: AliasDeclaration, signal: AbortSignal): Promise<void> {
    const { implementation, settings, normalised } = parseSpaceArguments(spec.arguments);
    const strategy = this.#strategy('implementation', implementation);
    if (this.#exists(virtualHost, spec, normalised)) return;
    const home = { virtualHost: virtualHost.name, durable: spec.durable };
    const handle = await strategy.declareSpace({ space: spec.name, settings, home }, { signal });
    const decoration = this.#spaceDecoration(spec.name, normalised, handle);
    try {
      signal.throwIfAborted();
      virtualHost.declareExchange(spec.name, spec, decoration);
    } catch (error) {
      await this.#left(handle.close(), spec.name);
      throw error;
    }
    try {
      await handle.opened?.();
    } catch (error) {
      // Its hook closes the handle. Whoever has deleted it meanwhile has done that already.
      const isThere = virtualHost.findExchange(spec.name)?.hooks === decoration.hooks;
      if (isThere) virtualHost.deleteExchange(spec.name, { ifUnused: false });
      throw error;
    }
  }

  #restoreSpace(virtualHost: VirtualHost, space: string, args: FieldTable): ExchangeDecoration {
    const { implementation, settings, normalised } = parseSpaceArguments(args);
    const declaration = { space, settings, home: { virtualHost: virtualHost.name, durable: true } };
    const declare = async (signal: AbortSignal) => {
      const strategy = this.#strategy('implementation', implementation);
      const handle = await strategy.declareSpace(declaration, { signal });
      try {
        await handle.opened?.();
        return handle;
      } catch (error) {
        await this.#left(handle.close(), space);
        throw error;
      }
    };
    return this.#spaceDecoration(space, normalised, new RedeclaringHandle(declare, space, this.#logger));
  }

  #spaceDecoration(name: string, declared: FieldTable, handle: SpaceHandle): ExchangeDecoration {
    const hooks = new SpaceHooks({
      attached: () => this.#counterparts.set(hooks, { kind: 'space', declared, handle }),
      deleted: () => this.#forget(hooks, name),
    });
    return { matching: exchangeType('direct'), hooks };
  }

  // --- points ---

  async #join(virtualHost: VirtualHost, spec: AliasDeclaration, signal: AbortSignal): Promise<void> {
    const { implementation, request, normalised } = parseAliasArguments(spec.arguments);
    const strategy = this.#strategy('exchangespace.implementation', implementation);
    if (this.#exists(virtualHost, spec, normalised)) return;
    const receiver = new AliasReceiver(virtualHost, spec.name, this.#logger);
    const session = await strategy.join(request, receiver, { signal });
    try {
      signal.throwIfAborted();
      receiver.assertJoined();
      const alias = { declared: normalised, session, receiver, implementation };
      const decoration = this.#aliasDecoration(virtualHost, spec.name, request, alias);
      virtualHost.declareExchange(spec.name, spec, decoration);
    } catch (error) {
      await this.#left(session.leave(), spec.name);
      throw error;
    }
  }

  #restoreAlias(virtualHost: VirtualHost, name: string, args: FieldTable): ExchangeDecoration {
    const { implementation, request, normalised } = parseAliasArguments(args);
    const receiver = new AliasReceiver(virtualHost, name, this.#logger);
    const restored = { ...request, restored: true };
    const join = async (signal: AbortSignal) =>
      this.#strategy('exchangespace.implementation', implementation).join(restored, receiver, { signal });
    const session = new RejoiningSession(join, name, this.#logger);
    const alias = { declared: normalised, session, receiver, implementation };
    return this.#aliasDecoration(virtualHost, name, request, alias);
  }

  #aliasDecoration(
    virtualHost: VirtualHost,
    name: string,
    { space, point }: JoinRequest,
    alias: {
      readonly declared: FieldTable;
      readonly session: PointSession;
      readonly receiver: AliasReceiver;
      readonly implementation: string;
    },
  ): ExchangeDecoration {
    const { declared, session, receiver, implementation } = alias;
    const where = { virtualHost: virtualHost.name, exchange: name };
    const identity = { ...where, implementation, space, pointName: point.name };
    const hooks = new AliasHooks(session, {
      attached: (exchange) => {
        receiver.attach(exchange);
        this.#counterparts.set(hooks, { kind: 'alias', declared, session, identity });
      },
      deleted: () => this.#forget(hooks, name),
    });
    return { matching: exchangeType(point.type), hooks };
  }

  #strategy(field: string, name: string): SpaceImplementation {
    const implementation = this.#implementations.get(name);
    if (implementation !== undefined) return implementation;
    const known = [...this.#implementations.keys()].map((one) => `'${one}'`).join(' or ');
    throw new SpaceError('invalid-argument', `argument '${field}': expected ${known}, found '${name}'`);
  }

  /** Whether the very same is there already. @throws BrokerError, SpaceError when something else has the name */
  #exists(virtualHost: VirtualHost, spec: AliasDeclaration, normalised: FieldTable): boolean {
    // The broker has no say in the arguments: none of them is its own.
    virtualHost.assertDeclarable(spec.name, { ...spec, arguments: {} });
    const existing = this.#find(virtualHost, spec.name);
    if (existing === undefined) return false;
    assertEqualArguments(spec.name, normalised, existing.declared);
    return true;
  }

  #forget(hooks: ExchangeHooks, name: string): void {
    const counterpart = this.#counterparts.get(hooks);
    this.#counterparts.delete(hooks);
    if (counterpart === undefined) return;
    const leaving = counterpart.kind === 'alias' ? counterpart.session.leave() : counterpart.handle.close();
    void this.#left(leaving, name);
  }

  /** For leaving that nobody can do anything about when it fails. */
  async #left(leaving: Promise<void>, exchange: string): Promise<void> {
    try {
      await leaving;
    } catch (err) {
      this.#logger.error({ err, exchange }, 'could not leave cleanly');
    }
  }
}

/** One name and one type for what goes by several: as the broker, RabbitMQ drops line breaks from names. */
function normalise(declaration: AliasDeclaration): AliasDeclaration {
  const name = declaration.name.replaceAll(/[\r\n]/g, '');
  return { ...declaration, name, type: declaration.type === SPACE ? SPACE : ALIAS };
}

/** When an exchange came and went. */
interface Lifetime {
  attached(exchange: Exchange): void;
  deleted(): void;
}

class AliasHooks implements ExchangeHooks {
  readonly #session: PointSession;
  readonly #lifetime: Lifetime;

  constructor(session: PointSession, lifetime: Lifetime) {
    this.#session = session;
    this.#lifetime = lifetime;
  }

  attached(exchange: Exchange): void {
    this.#lifetime.attached(exchange);
  }

  published(message: Message): Promise<void> | undefined {
    // The gateway makes all messages of its broker.
    return message instanceof ContentMessage ? this.#session.publish(message) : undefined;
  }

  bound(pattern: Pattern): Promise<void> {
    return this.#session.addInterest(pattern);
  }

  unbound(pattern: Pattern): void {
    this.#session.removeInterest(pattern);
  }

  deleted(): void {
    this.#lifetime.deleted();
  }
}

/** A space's exchange is a handle: what is published to it or bound to it concerns this node alone. */
class SpaceHooks implements ExchangeHooks {
  readonly #lifetime: Lifetime;

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime;
  }

  attached(exchange: Exchange): void {
    this.#lifetime.attached(exchange);
  }

  published(): undefined {}
  bound(): undefined {}
  unbound(): void {}

  deleted(): void {
    this.#lifetime.deleted();
  }
}
