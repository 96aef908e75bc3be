import { describe, expect, it } from 'vitest';
import type { AliasDeclaration, AliasHandler } from '../../src/amqp-gateway/index.js';
import { MAX_HELD_BYTES } from '../../src/amqp-gateway/limits.js';
import type { VirtualHost } from '../../src/broker/index.js';
import { BrokerError } from '../../src/broker/index.js';
import { exchangeType, SpaceError } from '../../src/overlay/index.js';
import { startGateway } from '../support/amqp-gateway.js';
import { methodFrame, publication, stuck } from '../support/amqp-raw-client.js';
import { eventually } from '../support/eventually.js';

/** Aliases that exist when a test says so. */
class ManualAliases implements AliasHandler {
  readonly declarations: { readonly declaration: AliasDeclaration; readonly signal: AbortSignal }[] = [];
  readonly deleted: string[] = [];
  #settle: { resolve: () => void; reject: (error: unknown) => void }[] = [];

  declares(type: string): boolean {
    return type === 'x-exchange';
  }

  declare(virtualHost: VirtualHost, declaration: AliasDeclaration, signal: AbortSignal): Promise<void> {
    this.declarations.push({ declaration, signal });
    return new Promise<void>((resolve, reject) => this.#settle.push({ resolve, reject })).then(() => {
      const hooks = {
        published: () => undefined,
        bound: () => undefined,
        unbound: () => {},
        deleted: () => {},
      };
      virtualHost.declareExchange(declaration.name, declaration, { matching: exchangeType('topic'), hooks });
    });
  }

  delete(virtualHost: VirtualHost, name: string): Promise<void> | undefined {
    if (!this.refusesTransactions(virtualHost, name)) return undefined;
    this.deleted.push(name);
    virtualHost.deleteExchange(name, { ifUnused: false });
    return new Promise<void>((resolve, reject) => this.#settle.push({ resolve, reject }));
  }

  refusesTransactions(virtualHost: VirtualHost, exchange: string): boolean {
    return virtualHost.findExchange(exchange)?.type === 'x-exchange';
  }

  /** Settles the oldest promise. */
  async settle(error?: unknown): Promise<void> {
    await eventually(() => this.#settle.length > 0);
    const first = this.#settle.shift();
    if (error === undefined) first?.resolve();
    else first?.reject(error);
  }
}

async function withAliases() {
  const aliases = new ManualAliases();
  const gateway = await startGateway({ spaceExchange: aliases });
  return { ...gateway, aliases, client: await gateway.rawChannel() };
}

const declareAlias = methodFrame(1, 'exchange.declare', {
  exchange: 'a',
  type: 'x-exchange',
  durable: true,
  arguments: { exchangename: 'bids' },
});

describe('declaring an alias', () => {
  it('is left to its handler, and answered when that is done', async () => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias, methodFrame(2, 'channel.open'));
    await client.expect('channel.open-ok');
    expect(aliases.declarations[0]?.declaration).toEqual({
      name: 'a',
      type: 'x-exchange',
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: { exchangename: 'bids' },
    });
    expect(client.pending()).toEqual([]);
    await aliases.settle();
    expect(await client.expect('exchange.declare-ok')).toMatchObject({ channel: 1 });
  });

  it('holds back what its channel asks for later, in order, and no other channel', async () => {
    const { client, aliases } = await withAliases();
    client.send(
      methodFrame(2, 'channel.open'),
      declareAlias,
      methodFrame(1, 'queue.declare', { queue: 'q' }),
      methodFrame(1, 'queue.bind', { queue: 'q', exchange: 'a', routingKey: '#' }),
      publication(1, { exchange: 'a', routingKey: 'k' }, [Buffer.from('one '), Buffer.from('two')]),
      methodFrame(1, 'basic.get', { queue: 'q' }),
      methodFrame(2, 'queue.declare', { queue: 'other' }),
    );
    await client.expect('channel.open-ok');
    expect(await client.expect('queue.declare-ok')).toMatchObject({ channel: 2 });
    await aliases.settle();
    await client.expect('exchange.declare-ok');
    expect(await client.expect('queue.declare-ok')).toMatchObject({ channel: 1 });
    await client.expect('queue.bind-ok');
    await client.expect('basic.get-ok');
    expect((await client.expectContent()).body.toString()).toBe('one two');
  });

  it('several times in a row goes one by one', async () => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias, declareAlias, methodFrame(1, 'tx.select'));
    await aliases.settle();
    await client.expect('exchange.declare-ok');
    expect(client.pending()).toEqual([]);
    await aliases.settle();
    await client.expect('exchange.declare-ok');
    await client.expect('tx.select-ok');
  });

  it.each([
    [
      new SpaceError('invalid-argument', "argument 'exchangetype': expected a string"),
      406,
      'PRECONDITION_FAILED',
    ],
    [new SpaceError('conflict', 'point has type topic'), 406, 'PRECONDITION_FAILED'],
    [new SpaceError('not-found', 'no seed answered'), 404, 'NOT_FOUND'],
    [new SpaceError('refused', 'no grant'), 403, 'ACCESS_REFUSED'],
    [new BrokerError('precondition-failed', 'inequivalent arguments'), 406, 'PRECONDITION_FAILED'],
  ])('that fails with %s closes the channel', async (error, replyCode, name) => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias, methodFrame(1, 'queue.declare', { queue: 'late' }));
    await aliases.settle(error);
    expect(await client.expect('channel.close')).toMatchObject({
      replyCode,
      replyText: `${name} - ${error.message}`,
      classId: 40,
      methodId: 10,
    });
    client.send(methodFrame(1, 'channel.close-ok'), methodFrame(1, 'channel.open'));
    await client.expect('channel.open-ok');
  });

  it('that fails still lets the client close the channel, when it has asked for that meanwhile', async () => {
    const { client, aliases } = await withAliases();
    const close = methodFrame(1, 'channel.close');
    client.send(declareAlias, methodFrame(1, 'queue.declare', { queue: 'q' }), close);
    await aliases.settle(new SpaceError('not-found', 'no such space'));
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 404 });
    await client.expect('channel.close-ok');
    client.send(methodFrame(1, 'channel.close-ok'), methodFrame(1, 'channel.open'));
    await client.expect('channel.open-ok');
  });

  it('lets the client close the channel and open it again meanwhile, one after the other', async () => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias, methodFrame(1, 'channel.close'), methodFrame(1, 'channel.open'));
    client.send(methodFrame(1, 'queue.declare', { queue: 'q' }));
    await aliases.settle();
    await client.expect('exchange.declare-ok');
    await client.expect('channel.close-ok');
    await client.expect('channel.open-ok');
    await client.expect('queue.declare-ok');
  });

  it('that fails for a reason nobody expected closes the connection with INTERNAL_ERROR, and the log has it', async () => {
    const { client, aliases, log } = await withAliases();
    client.send(declareAlias);
    await aliases.settle(new TypeError('x is not a function'));
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 541 });
    expect(log.some((line) => line.startsWith('error'))).toBe(true);
  });

  it('cuts a text that is longer than a reply can be, and at no character', async () => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias);
    await aliases.settle(new SpaceError('not-found', 'ä'.repeat(300)));
    const { replyText } = await client.expect('channel.close');
    expect(replyText).toMatch(/^NOT_FOUND - ä+\.\.\.$/);
    expect(Buffer.byteLength(replyText)).toBe(255);
  });

  it('passively is a question to the broker', async () => {
    const { client, aliases } = await withAliases();
    const passive = { exchange: 'a', type: 'x-exchange', passive: true };
    expect(await client.call('exchange.declare', passive, 'channel.close')).toMatchObject({ replyCode: 404 });
    expect(aliases.declarations).toEqual([]);
  });

  it('is abandoned when the client leaves', async () => {
    const { client, aliases, gateway } = await withAliases();
    client.send(declareAlias, methodFrame(1, 'queue.declare', { queue: 'late' }));
    await eventually(() => aliases.declarations.length === 1);
    const signal = aliases.declarations[0]?.signal;
    expect(signal?.aborted).toBe(false);
    client.destroy();
    await eventually(() => signal?.aborted === true);
    await aliases.settle();
    await eventually(() => gateway.status().connections === 0);
  });

  it.each([
    ['succeeds', undefined, 1],
    ['fails', new SpaceError('not-found', 'no seed answered'), 0],
  ])(
    'holds up a connection.close that came later until it %s: what was sent before it counts',
    async (_, error, messages) => {
      const { client, aliases, virtualHost } = await withAliases();
      await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
      client.send(
        declareAlias,
        publication(1, { routingKey: 'q' }, [Buffer.from('x')]),
        methodFrame(0, 'connection.close'),
      );
      await aliases.settle(error);
      await client.expect(error === undefined ? 'exchange.declare-ok' : 'channel.close');
      await client.expect('connection.close-ok');
      expect(await client.next()).toEqual({ type: 'end' });
      expect(virtualHost.queue('q', {}).messageCount).toBe(messages);
    },
  );

  it(`stops reading from a client that goes on sending more than ${MAX_HELD_BYTES} octets meanwhile`, async () => {
    const { client, aliases, gateway, virtualHost } = await withAliases();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(declareAlias);
    const flood = client.flood(publication(1, { routingKey: 'q' }, [Buffer.alloc(100_000)]), 500);
    await stuck(flood);
    expect(gateway.status().publishedMessages).toBe(0);
    await aliases.settle();
    await client.expect('exchange.declare-ok');
    await eventually(() => virtualHost.queue('q', {}).messageCount === 500);
  });

  it('is not answered any more where the connection was closed for something else', async () => {
    const { client, aliases } = await withAliases();
    client.send(declareAlias, methodFrame(2, 'tx.select'));
    await client.expect('connection.close');
    await aliases.settle();
    client.sendMethod(0, 'connection.close-ok');
    expect(await client.next()).toEqual({ type: 'end' });
  });
});

describe('an alias', () => {
  async function declared() {
    const setup = await withAliases();
    setup.client.send(declareAlias);
    await setup.aliases.settle();
    await setup.client.expect('exchange.declare-ok');
    return setup;
  }

  it('is deleted by its handler, and the answer waits for that', async () => {
    const { client, aliases } = await declared();
    client.send(methodFrame(1, 'exchange.delete', { exchange: 'a' }), methodFrame(1, 'tx.select'));
    await eventually(() => aliases.deleted.length === 1);
    expect(client.pending()).toEqual([]);
    await aliases.settle();
    await client.expect('exchange.delete-ok');
    await client.expect('tx.select-ok');
  });

  it('leaves the deletion of other exchanges to the broker', async () => {
    const { client, aliases } = await declared();
    await client.call('exchange.declare', { exchange: 'x', type: 'topic' }, 'exchange.declare-ok');
    await client.call('exchange.delete', { exchange: 'x' }, 'exchange.delete-ok');
    expect(aliases.deleted).toEqual([]);
  });

  it.each([
    ['mandatory', { mandatory: true }],
    ['immediate', { immediate: true }],
  ])('refuses %s messages with NOT_IMPLEMENTED, on the channel', async (_, flags) => {
    const { client } = await declared();
    client.send(publication(1, { exchange: 'a', routingKey: 'k', ...flags }, [Buffer.from('x')]));
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 540, classId: 60, methodId: 40 });
  });

  it('refuses messages of a transaction with NOT_IMPLEMENTED, on the channel', async () => {
    const { client } = await declared();
    await client.call('tx.select', {}, 'tx.select-ok');
    client.send(publication(1, { exchange: 'a', routingKey: 'k' }, [Buffer.from('x')]));
    expect(await client.expect('channel.close')).toMatchObject({ replyCode: 540 });
  });
});

describe('the hooks of an exchange', () => {
  async function hooked() {
    const gateway = await startGateway();
    const until: { settle: () => void }[] = [];
    const later = () => new Promise<void>((resolve) => until.push({ settle: resolve }));
    const hooks = { published: later, bound: later, unbound: () => {}, deleted: () => {} };
    const spec = { type: 'topic', durable: false, autoDelete: false, internal: false, arguments: {} };
    gateway.virtualHost.declareExchange('a', spec, { matching: exchangeType('topic'), hooks });
    return { ...gateway, until, client: await gateway.rawChannel() };
  }

  it('hold up the answer to a bind', async () => {
    const { client, until } = await hooked();
    await client.call('queue.declare', { queue: 'q' }, 'queue.declare-ok');
    client.send(methodFrame(1, 'queue.bind', { queue: 'q', exchange: 'a', routingKey: '#' }));
    client.send(methodFrame(2, 'channel.open'));
    await client.expect('channel.open-ok');
    until[0]?.settle();
    await client.expect('queue.bind-ok');
  });

  it('hold up a publisher: its socket is not read until they are content, and others are', async () => {
    const { client, until, rawChannel } = await hooked();
    client.send(publication(1, { exchange: 'a' }, [Buffer.from('x')]));
    await eventually(() => until.length === 1);
    client.sendMethod(1, 'queue.declare', { queue: 'q' });
    const other = await rawChannel();
    await other.call('queue.declare', { queue: 'other' }, 'queue.declare-ok');
    expect(client.pending()).toEqual([]);
    until[0]?.settle();
    await client.expect('queue.declare-ok');
  });
});
