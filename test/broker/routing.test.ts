import { describe, expect, it } from 'vitest';
import { createBroker, createCountingClient, drain, TextMessage } from './support.js';

describe('routing', () => {
  it('goes by the type of the exchange', () => {
    const { client } = createBroker();
    for (const name of ['direct', 'topic', 'headers', 'fanout']) client.queue(name);
    client.bind('direct', 'amq.direct', 'stock.acme');
    client.bind('topic', 'amq.topic', 'stock.#');
    client.bind('headers', 'amq.headers', '', { 'x-match': 'all', kind: 'stock' });
    client.bind('fanout', 'amq.fanout', 'whatever');

    const publish = (exchange: string, key: string, headers = {}) =>
      client.publish(exchange, key, 'a', { headers });
    expect([publish('amq.direct', 'stock.acme'), publish('amq.direct', 'stock')]).toEqual([1, 0]);
    expect([publish('amq.topic', 'stock.acme.high'), publish('amq.topic', 'bond')]).toEqual([1, 0]);
    expect([publish('amq.headers', '', { kind: 'stock' }), publish('amq.headers', '', {})]).toEqual([1, 0]);
    expect(publish('amq.fanout', 'x')).toBe(1);
  });

  it('goes to queues by name from the default exchange', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    expect([client.publish('', 'q', 'a'), client.publish('', 'r', 'b')]).toEqual([1, 0]);
    expect(drain(queue)).toEqual(['a']);
  });

  it('gives a queue a message once, however many bindings and ways lead there', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.exchange('x', 'topic');
    client.exchange('y', 'topic');
    for (const key of ['a.*', '*.b', '#']) {
      client.bind('q', 'x', key);
      client.bind('q', 'y', key);
      client.bindExchange('y', 'x', key);
    }
    expect(client.publish('x', 'a.b', 'once')).toBe(1);
    expect(drain(queue)).toEqual(['once']);
  });

  it('ends although exchanges are bound in circles', () => {
    const { client } = createBroker();
    for (const name of ['x', 'y', 'z']) client.exchange(name, 'fanout');
    for (const [to, from] of [
      ['y', 'x'],
      ['z', 'y'],
      ['x', 'z'],
      ['x', 'x'],
    ] as const)
      client.bindExchange(to, from);
    client.queue('q');
    client.bind('q', 'z');
    expect(client.publish('x', '', 'a')).toBe(1);
  });

  it('keeps bindings apart by their arguments, for every type', () => {
    const { client } = createBroker();
    client.queue('q');
    client.bind('q', 'amq.direct', 'k', { a: 1 });
    client.bind('q', 'amq.direct', 'k', { b: 1n, a: 1 });
    client.bind('q', 'amq.direct', 'k', { a: 1, b: 1 });
    client.unbind('q', 'amq.direct', 'k', { a: 1 });
    expect(client.publish('amq.direct', 'k', 'a')).toBe(1);
    client.unbind('q', 'amq.direct', 'k');
    expect(client.publish('amq.direct', 'k', 'a')).toBe(1);
    client.unbind('q', 'amq.direct', 'k', { a: 1, b: 1 });
    expect(client.publish('amq.direct', 'k', 'a')).toBe(0);
  });

  it('of a message that came from another node is the same', () => {
    const { client, host } = createBroker();
    const queue = client.queue('q');
    client.bind('q', 'amq.topic', 'a.*');
    client.exchange('inside', 'topic', { internal: true });
    client.bindExchange('amq.topic', 'inside', '#');
    const message = new TextMessage('inside', 'a.b', 'far');
    expect(host.routeRemote(host.exchange('inside'), message)).toBe(1);
    expect(drain(queue)).toEqual(['far']);
  });
});

describe('a route that was found before', () => {
  it('is used again while no binding changes', () => {
    const { client, matches } = createCountingClient();
    client.queue('q');
    client.bind('q', 'amq.topic', '#');
    for (let count = 0; count < 10; count++) client.publish('amq.topic', 'a', 'x');
    expect(matches()).toBe(1);
    client.queue('unbound');
    client.publish('amq.topic', 'a', 'x');
    expect(matches()).toBe(1);
  });

  it('is out of date when a binding comes or goes, on this exchange or one behind it', () => {
    const { client } = createCountingClient();
    for (const name of ['near', 'far']) client.queue(name);
    client.exchange('behind', 'fanout');
    client.bindExchange('behind', 'amq.topic', '#');
    const publish = () => client.publish('amq.topic', 'a', 'x');
    const counts = [publish()];
    client.bind('near', 'amq.topic', 'a');
    counts.push(publish());
    client.bind('far', 'behind');
    counts.push(publish());
    client.deleteQueue('near');
    counts.push(publish());
    client.deleteExchange('behind');
    counts.push(publish());
    expect(counts).toEqual([0, 1, 2, 1, 0]);
  });

  it('is not used where an exchange on the way reads headers', () => {
    const { client } = createCountingClient();
    client.queue('q');
    client.bindExchange('amq.headers', 'amq.topic', '#');
    client.bind('q', 'amq.headers', '', { 'x-match': 'all', a: 1 });
    const publish = (headers: object) =>
      client.publish('amq.topic', 'same', 'x', { headers: { ...headers } });
    expect([publish({ a: 1 }), publish({}), publish({ a: 1 })]).toEqual([1, 0, 1]);
  });
});
