import { describe, expect, it } from 'vitest';
import { createBroker, refusal, TestConsumer, TextMessage } from './support.js';

describe('an auto-delete exchange', () => {
  it('stays while it never had a binding, and goes when the last one with it as source is undone', () => {
    const { client, host } = createBroker();
    client.exchange('x', 'direct', { autoDelete: true });
    client.queue('q');
    client.bind('q', 'x', 'a');
    client.bind('q', 'x', 'b');
    client.unbind('q', 'x', 'a');
    expect(host.findExchange('x')).toBeDefined();
    client.unbind('q', 'x', 'b');
    expect(host.findExchange('x')).toBeUndefined();
  });

  it('stays when a binding to it is undone', () => {
    const { client, host } = createBroker();
    client.exchange('x', 'fanout', { autoDelete: true });
    client.bindExchange('x', 'amq.fanout');
    client.unbindExchange('x', 'amq.fanout');
    expect(host.findExchange('x')).toBeDefined();
  });

  it('goes with the queue that it was bound for, and takes those before it along', () => {
    const { client, host } = createBroker();
    for (const name of ['first', 'second', 'third']) client.exchange(name, 'fanout', { autoDelete: true });
    client.exchange('other', 'fanout');
    client.bindExchange('second', 'first');
    client.bindExchange('third', 'second');
    client.bindExchange('third', 'other');
    client.queue('q', { exclusive: true });
    client.bind('q', 'third');
    host.releaseOwner(client);

    for (const name of ['first', 'second', 'third']) expect(host.findExchange(name)).toBeUndefined();
    expect(host.findExchange('other')).toBeDefined();
    expect(client.publish('other', '', 'a')).toBe(0);
  });

  it('that is bound to itself stays until that binding is undone', () => {
    const { client, host } = createBroker();
    client.exchange('x', 'fanout', { autoDelete: true });
    client.bindExchange('x', 'x');
    client.queue('q');
    client.bind('q', 'x');
    client.deleteQueue('q');
    expect(host.findExchange('x')).toBeDefined();
    client.unbindExchange('x', 'x');
    expect(host.findExchange('x')).toBeUndefined();
  });

  it('can be the last of a very long chain', () => {
    const { client, host } = createBroker();
    const names = Array.from({ length: 10_000 }, (_, index) => `x${index}`);
    for (const name of names) client.exchange(name, 'fanout', { autoDelete: true });
    for (const [index, name] of names.slice(1).entries()) client.bindExchange(name, `x${index}`);
    client.queue('q');
    client.bind('q', 'x9999');
    expect(client.publish('x0', '', 'a')).toBe(1);
    client.deleteQueue('q');
    expect(names.filter((name) => host.findExchange(name) !== undefined)).toEqual([]);
  });

  it('is a new one when it is declared again', () => {
    const { client } = createBroker();
    client.queue('q');
    for (let round = 0; round < 2; round++) {
      client.exchange('x', 'fanout', { autoDelete: true });
      expect(client.publish('x', '', 'a')).toBe(0);
      client.bind('q', 'x');
      expect(client.publish('x', '', 'a')).toBe(1);
      client.unbind('q', 'x');
      expect(refusal(() => client.publish('x', '', 'a'))).toBe("not-found: no exchange 'x' in vhost '/'");
    }
  });
});

describe('a deleted exchange', () => {
  it('takes its bindings along at both ends', () => {
    const { client } = createBroker();
    client.exchange('x', 'fanout');
    client.queue('q');
    client.bind('q', 'x');
    client.bindExchange('x', 'amq.fanout');
    client.deleteExchange('x');
    client.exchange('x', 'fanout');
    expect([client.publish('x', '', 'a'), client.publish('amq.fanout', '', 'a')]).toEqual([0, 0]);
  });

  it('passes nothing on to whoever still holds it', () => {
    const { client, host } = createBroker();
    client.exchange('x', 'fanout');
    client.queue('q');
    client.bind('q', 'x');
    const exchange = host.exchange('x');
    client.deleteExchange('x');
    client.exchange('x', 'fanout');
    client.bind('q', 'x');
    expect(host.publish(exchange, new TextMessage('x', '', 'late'), client)).toBe(0);
  });
});

describe('a consumer that is told of a deletion', () => {
  it('finds queue and bindings gone, and may declare them again', () => {
    const { client } = createBroker();
    client.queue('q');
    client.bind('q', 'amq.fanout');
    const consumer = Object.assign(new TestConsumer(), {
      cancelled: () => {
        expect(client.publish('amq.fanout', '', 'lost')).toBe(0);
        client.queue('q');
        client.bind('q', 'amq.fanout');
      },
    });
    client.consume('q', consumer);
    client.deleteQueue('q');
    expect(client.publish('amq.fanout', '', 'kept')).toBe(1);
  });
});
