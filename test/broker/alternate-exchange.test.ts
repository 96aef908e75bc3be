import { describe, expect, it } from 'vitest';
import type { TestClient } from './support.js';
import { createBroker, createCountingClient, drain, exchangeSpec, refusal } from './support.js';

function declare(client: TestClient, name: string, alternate: unknown, type = 'direct'): void {
  client.host.declareExchange(name, {
    ...exchangeSpec({ type }),
    arguments: { 'alternate-exchange': alternate },
  });
}

describe('an alternate exchange', () => {
  it('gets what matches no binding, and what it routes counts as routed', () => {
    const { client } = createBroker();
    client.exchange('other', 'fanout');
    declare(client, 'x', 'other');
    const [bound, rest] = [client.queue('bound'), client.queue('rest')];
    client.bind('bound', 'x', 'k');
    expect(client.publish('x', 'nobody', 'a')).toBe(0);
    client.bind('rest', 'other');
    expect([client.publish('x', 'k', 'b'), client.publish('x', 'nobody', 'c')]).toEqual([1, 1]);
    expect([drain(bound), drain(rest)]).toEqual([['b'], ['c']]);
  });

  it('is found once it is there, and gone with its deletion', () => {
    const { client } = createBroker();
    declare(client, 'x', 'later');
    const queue = client.queue('q');
    expect(client.publish('x', 'k', 'a')).toBe(0);
    client.exchange('later', 'fanout');
    client.bind('q', 'later');
    expect(client.publish('x', 'k', 'b')).toBe(1);
    client.exchange('bare', 'fanout');
    client.deleteExchange('later');
    expect(client.publish('x', 'k', 'c')).toBe(0);
    expect(drain(queue)).toEqual(['b']);
  });

  it('that has no binding when it is declared or deleted changes routes all the same', () => {
    const { client } = createBroker();
    declare(client, 'x', 'middle');
    client.exchange('end', 'fanout');
    client.queue('q');
    client.bind('q', 'end');
    expect(client.publish('x', 'k', 'a')).toBe(0);
    declare(client, 'middle', 'end');
    expect(client.publish('x', 'k', 'b')).toBe(1);
    client.deleteExchange('middle');
    expect(client.publish('x', 'k', 'c')).toBe(0);
  });

  it('may have one itself, in chains and in circles', () => {
    const { client } = createBroker();
    declare(client, 'a', 'b');
    declare(client, 'b', 'c');
    declare(client, 'c', 'a');
    expect(client.publish('a', 'k', 'nowhere')).toBe(0);
    client.queue('q');
    client.bind('q', 'c', 'k');
    expect(client.publish('a', 'k', 'x')).toBe(1);
  });

  it('gets nothing of a message of which one key matches', () => {
    const { client } = createBroker();
    client.exchange('other', 'fanout');
    declare(client, 'x', 'other');
    const [bound, rest] = [client.queue('bound'), client.queue('rest')];
    client.bind('bound', 'x', 'k');
    client.bind('rest', 'other');
    client.publish('x', 'nobody', 'a', { headers: { CC: ['k'] } });
    expect([drain(bound), drain(rest)]).toEqual([['a'], []]);
  });

  it('is not the default exchange, which routes to nothing here, as in RabbitMQ', () => {
    const { client } = createBroker();
    declare(client, 'x', '');
    client.queue('q');
    expect(client.publish('x', 'q', 'a')).toBe(0);
  });

  it('leaves routes in the cache', () => {
    const { client, matches } = createCountingClient();
    client.exchange('other', 'fanout');
    declare(client, 'x', 'other');
    client.queue('q');
    client.bind('q', 'other');
    for (let index = 0; index < 10; index++) client.publish('x', 'k', 'a');
    expect(matches()).toBe(1);
  });

  it('is refused where its name is no string, and where it is another on redeclare', () => {
    const { client } = createBroker();
    expect(refusal(() => declare(client, 'x', true))).toBe(
      "precondition-failed: invalid type 'bool' for arg 'alternate-exchange' in exchange 'x' in vhost '/'",
    );
    declare(client, 'x', 'one');
    const label = "precondition-failed: inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/'";
    expect(refusal(() => declare(client, 'x', 'two'))).toBe(`${label}: received 'two' but current is 'one'`);
    expect(refusal(() => client.exchange('x', 'direct'))).toBe(
      `${label}: received none but current is the value 'one' of type 'longstr'`,
    );
  });
});

describe('a message with further routing keys', () => {
  it('goes to each queue once that any of them leads to', () => {
    const { client } = createBroker();
    const queues = ['one', 'two', 'three'].map((name) => client.queue(name));
    client.bind('one', 'amq.direct', 'a');
    client.bind('two', 'amq.direct', 'b');
    client.bind('two', 'amq.direct', 'c');
    client.bind('three', 'amq.direct', 'd');
    const headers = { CC: ['b', 'c'], BCC: ['a'] };
    expect(client.publish('amq.direct', 'a', 'x', { headers })).toBe(2);
    expect(queues.map(drain)).toEqual([['x'], ['x'], []]);
  });

  it('goes to queues by name from the default exchange', () => {
    const { client } = createBroker();
    const queues = ['one', 'two'].map((name) => client.queue(name));
    const headers = { CC: ['two', 'one', 'none'] };
    expect(client.publish('', 'one', 'x', { headers })).toBe(2);
    expect(queues.map(drain)).toEqual([['x'], ['x']]);
  });

  it('takes all of them along from exchange to exchange', () => {
    const { client } = createBroker();
    client.exchange('inner', 'direct');
    client.queue('q');
    client.bindExchange('inner', 'amq.direct', 'outer key');
    client.bind('q', 'inner', 'inner key');
    expect(client.publish('amq.direct', 'outer key', 'x', { headers: { CC: ['inner key'] } })).toBe(1);
    expect(client.publish('amq.direct', 'outer key', 'x')).toBe(0);
  });
});
