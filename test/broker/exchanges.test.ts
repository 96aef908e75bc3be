import { describe, expect, it } from 'vitest';
import { createBroker, exchangeSpec, pattern, refusal } from './support.js';

const DEFAULT_REFUSED = 'access-refused: operation not permitted on the default exchange';

describe('declaring an exchange', () => {
  it('gives the one that exists when nothing differs', () => {
    const { host } = createBroker();
    const first = host.declareExchange('x', exchangeSpec({ type: 'topic' }));
    expect(host.declareExchange('x', exchangeSpec({ type: 'topic' }))).toBe(first);
    expect(host.assertExchange('x')).toBe(first);
  });

  it.each([
    [{ type: 'direct' }, 'type', 'direct', 'topic'],
    [{ durable: true }, 'durable', 'true', 'false'],
    [{ autoDelete: true }, 'auto_delete', 'true', 'false'],
    [{ internal: true }, 'internal', 'true', 'false'],
  ])('is refused where one exists with another value: %o', (other, field, received, current) => {
    const { host } = createBroker();
    const spec = exchangeSpec({ type: 'topic' });
    host.declareExchange('x', spec);
    expect(refusal(() => host.declareExchange('x', { ...spec, ...other }))).toBe(
      `precondition-failed: inequivalent arg '${field}' for exchange 'x' in vhost '/': ` +
        `received '${received}' but current is '${current}'`,
    );
  });

  it.each([
    ['x-random', 'unknown'],
    ['none', 'invalid'],
    ['', 'invalid'],
  ])("is refused for type '%s', which nobody knows, as %s", (type, problem) => {
    const { host } = createBroker();
    const declare = () => host.declareExchange('x', exchangeSpec({ type }));
    expect(refusal(declare)).toBe(`command-invalid: ${problem} exchange type '${type}'`);
  });

  it('is refused for a reserved name, unless the exchange is there already', () => {
    const { host } = createBroker();
    const spec = { ...exchangeSpec({ type: 'direct' }), durable: true };
    expect(host.declareExchange('amq.direct', spec).name).toBe('amq.direct');
    expect(refusal(() => host.declareExchange('amq.other', spec))).toBe(
      "access-refused: exchange name 'amq.other' contains reserved prefix 'amq.*'",
    );
  });

  it('drops line breaks from the name, as RabbitMQ does', () => {
    const { host } = createBroker();
    const exchange = host.declareExchange('new\r\nsline', exchangeSpec({ type: 'fanout' }));
    expect(exchange.name).toBe('newsline');
    expect(host.findExchange('news\nline')).toBe(exchange);
  });
});

describe('a virtual host', () => {
  it('has the exchanges of the specification from the start', () => {
    const { host } = createBroker();
    const names = ['', 'amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match'];
    const found = names.map((name) => host.exchange(name));
    expect(found.map((exchange) => exchange.type)).toEqual([
      'direct',
      'direct',
      'fanout',
      'topic',
      'headers',
      'headers',
    ]);
    expect(found.every((exchange) => exchange.durable && !exchange.autoDelete && !exchange.internal)).toBe(
      true,
    );
  });

  it("has the exchange of RabbitMQ's tracing, which nobody publishes to", () => {
    const { host } = createBroker();
    const { type, internal, durable } = host.exchange('amq.rabbitmq.trace');
    expect({ type, internal, durable }).toEqual({ type: 'topic', internal: true, durable: true });
  });

  it('says which exchange it does not have', () => {
    const { host } = createBroker();
    expect(refusal(() => host.exchange('x'))).toBe("not-found: no exchange 'x' in vhost '/'");
    expect(refusal(() => host.assertExchange('x'))).toBe("not-found: no exchange 'x' in vhost '/'");
  });
});

describe('the default exchange', () => {
  it.each(['', '\n'])('can be neither declared nor deleted nor bound, as %j', (name) => {
    const { host, client } = createBroker();
    client.queue('q');
    const calls = [
      () => host.declareExchange(name, exchangeSpec({ type: 'direct' })),
      () => host.assertExchange(name),
      () => host.deleteExchange(name, { ifUnused: false }),
      () => client.bind('q', name, 'q'),
      () => client.unbind('q', name, 'q'),
      () => client.bindExchange('amq.direct', name),
      () => client.bindExchange(name, 'amq.direct'),
      () => client.unbindExchange('amq.direct', name),
      () => client.unbindExchange(name, 'amq.direct'),
    ];
    expect(calls.map(refusal)).toEqual(calls.map(() => DEFAULT_REFUSED));
  });
});

describe('deleting an exchange', () => {
  it('is done when there is none', () => {
    const { client } = createBroker();
    client.deleteExchange('x');
  });

  it('is refused for those of the server', () => {
    const { client } = createBroker();
    expect(refusal(() => client.deleteExchange('amq.topic'))).toBe(
      "access-refused: deletion of system exchange 'amq.topic' in vhost '/' not allowed",
    );
  });

  it('is refused if it was to be unused and is the source of a binding, not if it is a destination', () => {
    const { client, host } = createBroker();
    client.exchange('x', 'fanout');
    client.exchange('y', 'fanout');
    client.bindExchange('y', 'x');
    expect(refusal(() => client.deleteExchange('x', { ifUnused: true }))).toBe(
      "precondition-failed: exchange 'x' in vhost '/' in use",
    );
    client.deleteExchange('y', { ifUnused: true });
    client.deleteExchange('x', { ifUnused: true });
    expect([host.findExchange('x'), host.findExchange('y')]).toEqual([undefined, undefined]);
  });
});

describe('an internal exchange', () => {
  it('refuses publications, and gets what other exchanges pass on', () => {
    const { client } = createBroker();
    client.exchange('inside', 'fanout', { internal: true });
    client.queue('q');
    client.bind('q', 'inside');
    client.bindExchange('inside', 'amq.fanout');

    expect(refusal(() => client.publish('inside', '', 'a'))).toBe(
      "access-refused: cannot publish to internal exchange 'inside' in vhost '/'",
    );
    expect(client.publish('amq.fanout', '', 'b')).toBe(1);
  });
});

describe('binding', () => {
  it('names what is missing, the source first', () => {
    const { client } = createBroker();
    expect(refusal(() => client.bind('q', 'x'))).toBe("not-found: no exchange 'x' in vhost '/'");
    expect(refusal(() => client.bind('q', 'amq.direct'))).toBe("not-found: no queue 'q' in vhost '/'");
    expect(refusal(() => client.bindExchange('y', 'x'))).toBe("not-found: no exchange 'x' in vhost '/'");
    expect(refusal(() => client.bindExchange('y', 'amq.direct'))).toBe(
      "not-found: no exchange 'y' in vhost '/'",
    );
  });

  it('is refused where the exchange type does not understand the pattern', () => {
    const { client, host } = createBroker();
    client.queue('q');
    const malformed = { queue: 'q', exchange: 'amq.headers', pattern: pattern('', { 'x-match': 'some' }) };
    expect(refusal(() => host.bindQueue(malformed, client))).toMatch(/^precondition-failed: .*some/);
  });

  it('is undone without complaint where nothing is bound, or nothing is there', () => {
    const { client } = createBroker();
    client.queue('q');
    client.unbind('q', 'amq.direct', 'a');
    client.unbind('nobody', 'amq.direct', 'a');
    client.unbind('q', 'nowhere', 'a');
    client.unbindExchange('nowhere', 'amq.direct');
  });
});
