import { describe, expect, it } from 'vitest';
import { createMemoryImplementation, MemoryNetwork, SpaceError } from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { ManualSpaces, manualPoint } from './manual-spaces.js';
import {
  bodies,
  boundQueue,
  join,
  point,
  publish,
  refusalOf,
  startMarket,
  startSpaceNode,
} from './space-exchange-fixture.js';

const SPACE = 'x-exchangespace';
const ALIAS = 'x-exchange';
const memory = { arguments: { implementation: 'memory' } };

function precondition(text: string) {
  return { scope: 'channel', code: 406, text: `PRECONDITION_FAILED - ${text}` };
}

function notFound(text: string) {
  return { scope: 'channel', code: 404, text: `NOT_FOUND - ${text}` };
}

function accessRefused(text: string) {
  return { scope: 'channel', code: 403, text: `ACCESS_REFUSED - ${text}` };
}

describe('declaring a space', () => {
  it('again with equal arguments succeeds, passively too', async () => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    await channel.assertExchange('market', SPACE, memory);
    await channel.checkExchange('market');
  });

  it('creates the exchange with its type and properties', async () => {
    const [node] = await startMarket('alice');
    expect(node.virtualHost.findExchange('market')).toMatchObject({
      type: SPACE,
      durable: true,
      arguments: { implementation: 'memory' },
    });
  });

  it.each([
    [{}, "argument 'implementation': expected a string of 1 to 255 bytes of UTF-8, found none"],
    [
      { implementation: 7 },
      "argument 'implementation': expected a string of 1 to 255 bytes of UTF-8, found 7",
    ],
    [{ implementation: 'pigeons' }, "argument 'implementation': expected 'memory', found 'pigeons'"],
    [
      { implementation: 'memory', seeds: 'a:1' },
      "argument 'seeds' is not understood by implementation 'memory'",
    ],
    [
      { implementation: 'memory', 'alternate-exchange': 'x' },
      "argument 'alternate-exchange' is not understood by implementation 'memory'",
    ],
  ])('with the arguments %j is refused', async (args, text) => {
    const [node] = await startMarket('alice');
    const refusal = await refusalOf(node, (channel) =>
      channel.assertExchange('other', SPACE, { arguments: args }),
    );
    expect(refusal).toEqual(precondition(text));
    expect(node.virtualHost.findExchange('other')).toBeUndefined();
  });

  it('under a name that another node has taken is refused, and the text names both', async () => {
    const [, bob] = await startMarket('alice', 'bob');
    const refusal = await refusalOf(bob, (channel) => channel.assertExchange('market', SPACE, memory));
    expect(refusal).toEqual(precondition("exchange space 'market' is owned by 'node-1', not by 'node-2'"));
    expect(bob.virtualHost.findExchange('market')).toBeUndefined();
  });

  it('again with other arguments is refused, and the text says which', async () => {
    const manual = new ManualSpaces();
    const node = await startSpaceNode(manual, new ManualSpaces('other'));
    const declared = (await node.channel()).assertExchange('market', SPACE, {
      arguments: { implementation: 'manual', access: 'open' },
    });
    await eventually(() => manual.declares.length === 1);
    manual.declares[0]?.answer.resolve({ close: async () => {}, delete: async () => {} });
    await declared;
    for (const [args, text] of [
      [
        { implementation: 'other', access: 'open' },
        "'implementation': received 'other' but current is 'manual'",
      ],
      [{ implementation: 'manual', access: 'granted' }, "'access': received 'granted' but current is 'open'"],
      [{ implementation: 'manual' }, "'access': received none but current is 'open'"],
    ] as const) {
      const refusal = await refusalOf(node, (channel) =>
        channel.assertExchange('market', SPACE, { arguments: args }),
      );
      expect(refusal).toEqual(precondition(`inequivalent arg ${text}, for exchange 'market'`));
    }
  });

  it('has its exchange concern this node alone: what is bound and published to it goes nowhere else', async () => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    const queue = await boundQueue(channel, 'market', 'here');
    channel.publish('market', 'here', Buffer.from('here'), { mandatory: true });
    await publish(channel, 'market', 'elsewhere');
    expect(await bodies(channel, queue)).toEqual(['here']);
    await channel.unbindQueue(queue, 'market', 'here');
  });
});

describe('declaring an alias', () => {
  it.each([
    [ALIAS, 'exchangename'],
    ['x-exchange-point', 'exchangename'],
    [ALIAS, 'exchangenname'],
    ['x-exchange-point', 'exchangenname'],
  ])('as %s with %s makes an exchange of type x-exchange, and means the same', async (type, field) => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    const { exchangename, ...others } = point('bids');
    await channel.assertExchange('b', type, { arguments: { ...others, [field]: exchangename } });
    expect(node.virtualHost.findExchange('b')?.type).toBe(ALIAS);
    for (const again of [ALIAS, 'x-exchange-point']) {
      await channel.assertExchange('b', again, { arguments: point('bids') });
    }
    await channel.checkExchange('b');
  });

  it('again with equal arguments succeeds, in whatever order, and with what was left out', async () => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    await join(channel, 'b', point('bids'));
    await join(channel, 'b', {
      arguments: {},
      exchangetype: 'topic',
      exchangename: 'bids',
      exchangespace: { space: 'market', implementation: 'memory' },
    });
  });

  it('keeps the line breaks out of its name, as the broker does', async () => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    await join(channel, 'b\r\n', point('bids'));
    await join(channel, 'b', point('bids'));
    const queue = await boundQueue(channel, 'b');
    await join(channel, 'other', point('bids'));
    await publish(channel, 'other', 'x');
    expect(await bodies(channel, queue)).toEqual(['x']);
  });

  it.each<[string, object, string]>([
    ['another point', point('asks'), "'exchangename': received 'asks' but current is 'bids'"],
    ['another type', point('bids', 'direct'), "'exchangetype': received 'direct' but current is 'topic'"],
    [
      'another space',
      { ...point('bids'), exchangespace: { implementation: 'memory', space: 'bazaar' } },
      "'exchangespace.space': received 'bazaar' but current is 'market'",
    ],
    [
      'another implementation',
      { ...point('bids'), exchangespace: { implementation: 'manual', space: 'market' } },
      "'exchangespace.implementation': received 'manual' but current is 'memory'",
    ],
    [
      'another setting of the implementation',
      { ...point('bids'), exchangespace: { implementation: 'memory', space: 'market', grant: 'g' } },
      "'exchangespace.grant': received 'g' but current is none",
    ],
    [
      'an argument less',
      { ...point('bids'), arguments: {} },
      "'arguments.x-limit': received none but current is 5",
    ],
    [
      'an argument of another value',
      { ...point('bids'), arguments: { 'x-limit': 6 } },
      "'arguments.x-limit': received 6 but current is 5",
    ],
  ])('again with %s is refused', async (_, args, text) => {
    const network = new MemoryNetwork();
    const node = await startSpaceNode(createMemoryImplementation(network), new ManualSpaces());
    const channel = await node.channel();
    await channel.assertExchange('market', SPACE, memory);
    await join(channel, 'b', { arguments: { 'x-limit': 5 }, ...point('bids') });
    const received = { arguments: { 'x-limit': 5 }, ...args };
    const refusal = await refusalOf(node, (other) => join(other, 'b', received));
    expect(refusal).toEqual(precondition(`inequivalent arg ${text}, for exchange 'b'`));
    await channel.checkExchange('b');
  });

  it.each([
    [
      { durable: false },
      "inequivalent arg 'durable' for exchange 'b' in vhost '/': received 'false' but current is 'true'",
    ],
    [
      { autoDelete: true },
      "inequivalent arg 'auto_delete' for exchange 'b' in vhost '/': received 'true' but current is 'false'",
    ],
    [
      { internal: true },
      "inequivalent arg 'internal' for exchange 'b' in vhost '/': received 'true' but current is 'false'",
    ],
  ])('again with %j is refused', async (options, text) => {
    const [node] = await startMarket('alice');
    await join(await node.channel(), 'b', point('bids'));
    expect(await refusalOf(node, (channel) => join(channel, 'b', point('bids'), options))).toEqual(
      precondition(text),
    );
  });

  it.each([
    ["argument 'exchangespace': expected a table, found 'market'", { exchangespace: 'market' }],
    [
      "argument 'exchangespace.implementation': expected 'memory', found 'pigeons'",
      { exchangespace: { implementation: 'pigeons', space: 'market' } },
    ],
    [
      "argument 'seeds' is not understood by implementation 'memory'",
      { exchangespace: { implementation: 'memory', space: 'market', seeds: '' } },
    ],
    [
      "argument 'colour' is not understood: expected 'exchangespace', 'exchangename', 'exchangetype', 'arguments'",
      { colour: 'red' },
    ],
  ])('is refused: %s', async (text, wrong) => {
    const [node] = await startMarket('alice');
    const refusal = await refusalOf(node, (channel) => join(channel, 'b', { ...point('bids'), ...wrong }));
    expect(refusal).toEqual(precondition(text));
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
  });

  it('of a point that exists with another type or arguments is refused, and the text says which', async () => {
    const [alice, bob] = await startMarket('alice', 'bob');
    await join(await alice.channel(), 'a', point('bids', 'topic', { arguments: { 'x-limit': 5 } }));
    const inequivalent = "inequivalent arg '%' for exchange point 'bids' in space 'market': ";
    for (const [args, field, text] of [
      [point('bids', 'direct'), 'exchangetype', "received 'direct' but current is 'topic'"],
      [point('bids', 'topic'), 'x-limit', "received none but current is '5'"],
      [
        point('bids', 'topic', { arguments: { 'x-limit': 'five' } }),
        'x-limit',
        "received 'five' but current is '5'",
      ],
    ] as const) {
      expect(await refusalOf(bob, (channel) => join(channel, 'b', args))).toEqual(
        precondition(inequivalent.replace('%', field) + text),
      );
    }
    await join(await bob.channel(), 'b', point('bids', 'topic', { arguments: { 'x-limit': 5 } }));
  });

  it('of a point in a space that is not there is refused', async () => {
    const node = await startSpaceNode(createMemoryImplementation(new MemoryNetwork()));
    expect(await refusalOf(node, (channel) => join(channel, 'b', point('bids')))).toEqual(
      notFound("no exchange space 'market'"),
    );
  });

  it.each([
    ['conflict', "space 'market' is claimed by A and B: name one in exchangespace.owner", precondition],
    ['not-found', 'no seed answered: a:1 (connection refused), b:2 (timed out)', notFound],
    ['refused', "grant of space 'market' has expired", accessRefused],
  ] as const)('that its implementation answers with %s is refused with its text', async (code, text, as) => {
    const manual = new ManualSpaces();
    const node = await startSpaceNode(manual);
    const refusal = refusalOf(node, (channel) => join(channel, 'b', manualPoint));
    await eventually(() => manual.joins.length === 1);
    manual.joins[0]?.answer.reject(new SpaceError(code, text));
    expect(await refusal).toEqual(as(text));
    expect(node.virtualHost.findExchange('b')).toBeUndefined();
  });

  it('passively is refused where nothing has the name', async () => {
    const [node] = await startMarket('alice');
    expect(await refusalOf(node, (channel) => channel.checkExchange('b'))).toEqual(
      notFound("no exchange 'b' in vhost '/'"),
    );
  });
});

describe('the name of', () => {
  it.each(['topic', SPACE])('an alias cannot be that of an exchange of type %s', async (type) => {
    const [node] = await startMarket('alice');
    if (type === 'topic') await (await node.channel()).assertExchange('taken', type);
    else await (await node.channel()).assertExchange('taken', type, memory);
    expect(await refusalOf(node, (channel) => join(channel, 'taken', point('bids')))).toEqual(
      precondition(
        `inequivalent arg 'type' for exchange 'taken' in vhost '/': received 'x-exchange' but current is '${type}'`,
      ),
    );
  });

  it('a space cannot be that of an alias or an ordinary exchange', async () => {
    const [node] = await startMarket('alice');
    const channel = await node.channel();
    await join(channel, 'an alias', point('bids'));
    await channel.assertExchange('ordinary', 'direct');
    for (const name of ['an alias', 'ordinary']) {
      const refusal = await refusalOf(node, (other) => other.assertExchange(name, SPACE, memory));
      expect(refusal).toMatchObject({
        code: 406,
        text: expect.stringContaining("received 'x-exchangespace'"),
      });
    }
  });

  it('an ordinary exchange cannot be that of an alias or a space', async () => {
    const [node] = await startMarket('alice');
    await join(await node.channel(), 'an alias', point('bids'));
    for (const [name, type] of [
      ['an alias', ALIAS],
      ['market', SPACE],
    ] as const) {
      expect(await refusalOf(node, (channel) => channel.assertExchange(name, 'topic'))).toEqual(
        precondition(
          `inequivalent arg 'type' for exchange '${name}' in vhost '/': received 'topic' but current is '${type}'`,
        ),
      );
    }
  });

  it.each([ALIAS, SPACE])('an exchange of type %s cannot be reserved or empty', async (type) => {
    const [node] = await startMarket('alice');
    const args = type === ALIAS ? point('bids') : memory.arguments;
    const declare = (name: string) =>
      refusalOf(node, (channel) => channel.assertExchange(name, type, { arguments: args }));
    expect(await declare('amq.mine')).toEqual(
      accessRefused("exchange name 'amq.mine' contains reserved prefix 'amq.*'"),
    );
    expect(await declare('')).toMatchObject({ code: 403 });
    expect(await declare('amq.topic')).toMatchObject({ code: 406 });
  });
});

it('an exchange type that nobody knows ends the connection', async () => {
  const [node] = await startMarket('alice');
  expect(await refusalOf(node, (channel) => channel.assertExchange('x', 'x-unknown'))).toEqual({
    scope: 'connection',
    code: 503,
    text: "COMMAND_INVALID - unknown exchange type 'x-unknown'",
  });
});
