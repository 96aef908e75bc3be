import { describe, expect, it } from 'vitest';
import type { ExchangeHooks, Message } from '../../src/broker/index.js';
import { BrokerError } from '../../src/broker/index.js';
import { exchangeType } from '../../src/overlay/index.js';
import type { TestClient } from './support.js';
import { createBroker, drain, exchangeSpec, refusal, TextMessage, textOf } from './support.js';

/** Declares an exchange of type `x-exchange` that matches by topic, and writes down what its hooks hear. */
function decorate(
  client: TestClient,
  name: string,
  overrides: Partial<ExchangeHooks> = {},
  autoDelete = false,
): string[] {
  const heard: string[] = [];
  const hooks: ExchangeHooks = {
    published: (message: Message) => void heard.push(`published ${textOf(message)}`) as undefined,
    bound: (pattern) => void heard.push(`bound ${pattern.routingKey}`) as undefined,
    unbound: (pattern) => heard.push(`unbound ${pattern.routingKey}`),
    deleted: () => heard.push('deleted'),
    ...overrides,
  };
  const spec = exchangeSpec({ type: 'x-exchange', autoDelete });
  client.host.declareExchange(name, spec, { matching: exchangeType('topic'), hooks });
  return heard;
}

describe('a decorated exchange', () => {
  it('shows its own type, and matches by the rules of the other', () => {
    const { client, host } = createBroker();
    decorate(client, 'alias');
    client.queue('q');
    client.bind('q', 'alias', 'a.#');
    expect(host.exchange('alias').type).toBe('x-exchange');
    expect([client.publish('alias', 'a.b.c', 'x'), client.publish('alias', 'b', 'y')]).toEqual([1, 0]);
    expect(refusal(() => client.exchange('alias', 'topic'))).toBe(
      "precondition-failed: inequivalent arg 'type' for exchange 'alias' in vhost '/': " +
        "received 'topic' but current is 'x-exchange'",
    );
  });

  it('can be asked about before it is declared: what would be refused then is refused now', () => {
    const { client, host } = createBroker();
    const spec = exchangeSpec({ type: 'x-exchange' });
    host.assertDeclarable('alias', spec);
    expect(host.findExchange('alias')).toBeUndefined();
    expect(refusal(() => host.assertDeclarable('amq.alias', spec))).toMatch(
      /^access-refused: .* reserved prefix/,
    );
    expect(refusal(() => host.assertDeclarable('', spec))).toMatch(/^access-refused: .* default exchange/);
    client.exchange('taken', 'topic');
    expect(refusal(() => host.assertDeclarable('taken', spec))).toMatch(
      /^precondition-failed: inequivalent arg 'type'/,
    );
  });

  it('stays as it is when it is declared again with another decoration', () => {
    const { client } = createBroker();
    const first = decorate(client, 'alias');
    const second = decorate(client, 'alias');
    client.publish('alias', 'k', 'a');
    expect([first, second]).toEqual([['published a'], []]);
  });

  it('hears of each binding once, whoever is bound and however often it is asked for', () => {
    const { client } = createBroker();
    const heard = decorate(client, 'alias');
    client.queue('q');
    client.bind('q', 'alias', 'a');
    client.bind('q', 'alias', 'a');
    client.bindExchange('amq.fanout', 'alias', 'a');
    client.bindExchange('alias', 'amq.fanout', 'towards it');
    client.unbind('q', 'alias', 'a');
    client.unbind('q', 'alias', 'a');
    client.unbindExchange('amq.fanout', 'alias', 'a');
    expect(heard).toEqual(['bound a', 'bound a', 'unbound a', 'unbound a']);
  });

  it('hears of bindings that go with a queue or an exchange', () => {
    const { client } = createBroker();
    const heard = decorate(client, 'alias');
    client.queue('q');
    client.exchange('x', 'fanout');
    client.bind('q', 'alias', 'a');
    client.bind('q', 'alias', 'b');
    client.bindExchange('x', 'alias', 'c');
    client.deleteQueue('q');
    client.deleteExchange('x');
    expect(heard.slice(3)).toEqual(['unbound a', 'unbound b', 'unbound c']);
  });

  it('hears of its end last, when everything is gone already', () => {
    const { client, host } = createBroker();
    const found: unknown[] = [];
    const heard = decorate(client, 'alias', {
      unbound: () => found.push(host.findExchange('alias')),
    });
    client.queue('q');
    client.bind('q', 'alias', 'a');
    client.bind('q', 'alias', 'b');
    client.deleteExchange('alias');
    expect(found).toEqual([undefined, undefined]);
    expect(heard).toEqual(['bound a', 'bound b', 'deleted']);
  });

  it('that is deleted automatically hears of the last binding, then of its end', () => {
    const { client } = createBroker();
    const heard = decorate(client, 'alias', {}, true);
    client.queue('q', { exclusive: true });
    client.bind('q', 'alias', 'a');
    client.host.releaseOwner(client);
    expect(heard).toEqual(['bound a', 'unbound a', 'deleted']);
  });

  it('hears of its end once, even if it would have been deleted with its last binding', () => {
    const { client } = createBroker();
    const heard = decorate(client, 'alias', {}, true);
    client.queue('q');
    client.bind('q', 'alias', 'a');
    client.deleteExchange('alias');
    expect(heard).toEqual(['bound a', 'unbound a', 'deleted']);
  });

  it('makes whoever binds wait for its promise, and whoever asks for the same binding as well', () => {
    const { client } = createBroker();
    const settled = Promise.resolve();
    decorate(client, 'alias', { bound: () => settled });
    client.queue('q');
    expect([client.bind('q', 'alias', 'a'), client.bind('q', 'alias', 'a')]).toEqual([settled, settled]);
    expect(client.bindExchange('amq.fanout', 'alias')).toBe(settled);
    expect(client.bind('q', 'amq.fanout')).toBeUndefined();
  });
});

describe('a publication', () => {
  it('is heard of once, directly or through other exchanges, whether or not a queue takes it', () => {
    const { client } = createBroker();
    const [one, two] = [decorate(client, 'one'), decorate(client, 'two')];
    client.bindExchange('two', 'one', '#');
    client.bindExchange('one', 'amq.fanout');
    client.bindExchange('two', 'amq.fanout');
    expect(client.publish('amq.fanout', 'k', 'a')).toBe(0);
    expect(client.publish('amq.fanout', 'k', 'b')).toBe(0);
    expect(client.publish('two', 'k', 'c')).toBe(0);

    expect(one.filter((call) => call.startsWith('published'))).toEqual(['published a', 'published b']);
    expect(two.filter((call) => call.startsWith('published'))).toEqual([
      'published a',
      'published b',
      'published c',
    ]);
  });

  it('asks its publisher to pause for as long as a hook says, and goes on to the queues', () => {
    const { client } = createBroker();
    const pause = Promise.resolve();
    decorate(client, 'alias', { published: () => pause });
    const queue = client.queue('q');
    client.bind('q', 'alias', '#');
    client.publish('alias', 'k', 'a');
    expect(client.pauses).toEqual([pause]);
    expect(queue.messageCount).toBe(1);
  });

  it('that a hook refuses reaches no queue', () => {
    const { client } = createBroker();
    decorate(client, 'alias', {
      published: () => {
        throw new BrokerError('precondition-failed', 'the point is conflicted');
      },
    });
    const queue = client.queue('q');
    client.bind('q', 'alias', '#');
    expect(refusal(() => client.publish('alias', 'k', 'a'))).toBe(
      'precondition-failed: the point is conflicted',
    );
    expect(queue.messageCount).toBe(0);
  });

  it('of another node is heard of by nobody, and reaches the queues behind', () => {
    const { client, host } = createBroker();
    const [one, two] = [decorate(client, 'one'), decorate(client, 'two')];
    client.bindExchange('two', 'one', '#');
    const queue = client.queue('q');
    client.bind('q', 'two', '#');
    expect(host.routeRemote(host.exchange('one'), new TextMessage('one', 'k', 'far'))).toBe(1);
    expect(drain(queue)).toEqual(['far']);
    expect([...one, ...two].filter((call) => call.startsWith('published'))).toEqual([]);
  });

  it('to an exchange that is gone is heard of by nobody', () => {
    const { client, host } = createBroker();
    const heard = decorate(client, 'alias');
    const exchange = host.exchange('alias');
    client.deleteExchange('alias');
    expect(host.publish(exchange, new TextMessage('alias', 'k', 'late'), client)).toBe(0);
    expect(heard).toEqual(['deleted']);
  });
});
