import { describe, expect, it } from 'vitest';
import { createBroker, refusal, TestClient, TestConsumer, take } from './support.js';

function locked(name: string): string {
  return (
    `resource-locked: cannot obtain exclusive access to locked queue '${name}' in vhost '/'. It could be originally ` +
    'declared on another connection or the exclusive property value does not match that of the original declaration.'
  );
}

function inequivalent(field: string, received: string, current: string): string {
  const values = `received ${received} but current is ${current}`;
  return `precondition-failed: inequivalent arg '${field}' for queue 'q' in vhost '/': ${values}`;
}

describe('declaring a queue', () => {
  it('gives the one that exists when nothing differs, and keeps its messages', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { durable: true });
    client.send('q', 'a');
    expect(client.queue('q', { durable: true })).toBe(queue);
    expect(queue.messageCount).toBe(1);
  });

  it('is refused where one exists with another value', () => {
    const { client } = createBroker();
    client.queue('q');
    expect(refusal(() => client.queue('q', { durable: true }))).toBe(
      inequivalent('durable', "'true'", "'false'"),
    );
    expect(refusal(() => client.queue('q', { autoDelete: true }))).toBe(
      inequivalent('auto_delete', "'true'", "'false'"),
    );
    expect(refusal(() => client.queue('q', { arguments: { 'x-max-length': 10 } }))).toBe(
      inequivalent('x-max-length', "the value '10' of type 'signedint'", 'none'),
    );
    expect(refusal(() => client.queue('q', { arguments: { 'x-queue-type': { odd: 1 } } }))).toBe(
      inequivalent('x-queue-type', `the value '{"odd":1}' of type 'table'`, 'none'),
    );
  });

  it('compares only arguments that mean something', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { arguments: { 'x-team': 'a' } });
    expect(client.queue('q', { arguments: { 'x-team': 'b', 'x-queue-type': 'classic' } })).toBe(queue);
    expect(refusal(() => client.queue('q', { arguments: { 'x-queue-mode': 'lazy' } }))).toBe(
      inequivalent('x-queue-mode', "the value 'lazy' of type 'longstr'", 'none'),
    );
  });

  it('without a name makes one up, different every time', () => {
    const { client } = createBroker();
    const names = Array.from({ length: 100 }, () => client.queue('').name);
    expect(new Set(names).size).toBe(100);
    for (const name of names) expect(name).toMatch(/^amq\.gen-[A-Za-z0-9_-]{22}$/);
  });

  it('is refused for a reserved name, even if a queue has it; a passive declare is not', () => {
    const { client, host } = createBroker();
    const queue = client.queue('');
    expect(refusal(() => client.queue(queue.name))).toBe(
      `access-refused: queue name '${queue.name}' contains reserved prefix 'amq.*'`,
    );
    expect(host.queue(queue.name, client)).toBe(queue);
  });

  it('as exclusive and durable makes it exclusive only', () => {
    const { client } = createBroker();
    const queue = client.queue('q', { exclusive: true, durable: true });
    expect(queue).toMatchObject({ durable: false, owner: client });
    expect(client.queue('q', { exclusive: true, durable: true })).toBe(queue);
  });
});

describe('an exclusive queue', () => {
  it('is locked to its owner in everything but publishing', () => {
    const { client, host } = createBroker();
    const other = new TestClient(host);
    client.queue('q', { exclusive: true });
    client.bind('q', 'amq.direct', 'bound');

    const calls = [
      () => host.queue('q', other),
      () => other.queue('q', { exclusive: true }),
      () => other.queue('q'),
      () => other.bind('q', 'amq.direct', 'key'),
      () => other.unbind('q', 'amq.direct', 'bound'),
      () => host.purgeQueue('q', other),
      () => other.deleteQueue('q'),
    ];
    expect(calls.map(refusal)).toEqual(calls.map(() => locked('q')));
    expect(other.publish('', 'q', 'a')).toBe(1);
  });

  it('is locked to its own owner, too, if redeclared without the flag; and the other way round', () => {
    const { client } = createBroker();
    client.queue('mine', { exclusive: true });
    client.queue('shared');
    expect(refusal(() => client.queue('mine'))).toBe(locked('mine'));
    expect(refusal(() => client.queue('shared', { exclusive: true }))).toBe(locked('shared'));
  });

  it('goes with its owner, its consumers are told, and others stay', () => {
    const { client, host, memory } = createBroker();
    const other = new TestClient(host);
    client.queue('a', { exclusive: true });
    client.queue('b', { exclusive: true });
    client.queue('c');
    other.queue('d', { exclusive: true });
    client.send('a', 'lost');
    const consumer = new TestConsumer();
    client.consume('b', consumer);
    host.releaseOwner(client);
    host.releaseOwner(client);

    expect(consumer.cancellations).toBe(1);
    expect(memory.entries).toBe(0);
    for (const name of ['a', 'b']) expect(refusal(() => host.queue(name, client))).toMatch(/^not-found/);
    expect([host.queue('c', other).name, host.queue('d', other).name]).toEqual(['c', 'd']);
  });
});

describe('an auto-delete queue', () => {
  it('stays while it never had a consumer, and goes with the last one', () => {
    const { client, host } = createBroker();
    client.queue('q', { autoDelete: true });
    client.send('q', 'a');
    const first = client.consume('q', new TestConsumer());
    const second = client.consume('q', new TestConsumer());
    first.cancel();
    expect(host.queue('q', client).consumerCount).toBe(1);
    second.cancel();
    expect(refusal(() => host.queue('q', client))).toBe("not-found: no queue 'q' in vhost '/'");
  });

  it('can be declared again under its name while entries of the old one are out', () => {
    const { client, memory } = createBroker();
    const old = client.queue('q', { autoDelete: true });
    const consumer = new TestConsumer();
    const subscription = client.consume('q', consumer);
    client.send('q', 'a');
    subscription.cancel();
    const fresh = client.queue('q', { autoDelete: true });
    old.requeue(consumer.entries);

    expect(fresh).not.toBe(old);
    expect(fresh.messageCount).toBe(0);
    expect(memory.entries).toBe(0);
  });
});

describe('deleting a queue', () => {
  it('is done when there is none', () => {
    const { client } = createBroker();
    expect(client.deleteQueue('q')).toBe(0);
  });

  it('is refused if it was to be unused and has a consumer, or to be empty and has messages', () => {
    const { client } = createBroker();
    client.queue('q');
    const subscription = client.consume('q', new TestConsumer({ room: 0 }));
    client.send('q', 'a');
    expect(refusal(() => client.deleteQueue('q', { ifUnused: true }))).toBe(
      "precondition-failed: queue 'q' in vhost '/' in use",
    );
    expect(refusal(() => client.deleteQueue('q', { ifUnused: true, ifEmpty: true }))).toBe(
      "precondition-failed: queue 'q' in vhost '/' not empty",
    );
    subscription.cancel();
    expect(client.deleteQueue('q', { ifUnused: true })).toBe(1);
  });

  it('is done if it was to be empty and messages are only out for acknowledgement', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a');
    const entry = take(queue);
    expect(client.deleteQueue('q', { ifEmpty: true })).toBe(0);
    if (entry !== undefined) queue.settle(entry);
    expect(memory.bytes).toBe(0);
  });
});
