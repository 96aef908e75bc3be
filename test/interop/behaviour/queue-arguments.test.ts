import type { Channel } from 'amqplib';
import { expect, it } from 'vitest';
import { teardown } from '../../support/teardown.js';
import { openChannel, ownQueue, rawChannel, sharedQueue, unique } from './app.js';
import type { FieldOctets } from './field-octets.js';
import { methodWith } from './field-octets.js';
import { expectRefusal } from './refusal.js';
import type { Server } from './server.js';
import { onEachServer } from './server.js';

onEachServer('queue.declare of a queue that is there', (server) => {
  const inequivalent = (argument: string, received: string, current: string) =>
    `PRECONDITION_FAILED - inequivalent arg '${argument}' for queue 'NAME' in vhost '/': received ${received} but current is ${current}`;
  const int = (value: number) => `the value '${value}' of type 'signedint'`;
  const text = (value: string) => `the value '${value}' of type 'longstr'`;

  it.each<[string, object, object, string]>([
    ['durable', {}, { durable: true }, inequivalent('durable', "'true'", "'false'")],
    ['not durable', { durable: true }, {}, inequivalent('durable', "'false'", "'true'")],
    ['auto-delete', {}, { autoDelete: true }, inequivalent('auto_delete', "'true'", "'false'")],
    ['a TTL', {}, { messageTtl: 60_000 }, inequivalent('x-message-ttl', int(60_000), 'none')],
    ['no TTL', { messageTtl: 60_000 }, {}, inequivalent('x-message-ttl', 'none', int(60_000))],
    [
      'another TTL',
      { messageTtl: 60_000 },
      { messageTtl: 60_001 },
      inequivalent('x-message-ttl', "'60001'", "'60000'"),
    ],
    [
      'another expiry',
      { expires: 60_000 },
      { expires: 70_000 },
      inequivalent('x-expires', "'70000'", "'60000'"),
    ],
    ['another length', { maxLength: 10 }, { maxLength: 11 }, inequivalent('x-max-length', "'11'", "'10'")],
    [
      'a length in octets',
      {},
      { arguments: { 'x-max-length-bytes': 70_000 } },
      inequivalent('x-max-length-bytes', int(70_000), 'none'),
    ],
    [
      'another overflow',
      { arguments: { 'x-overflow': 'drop-head' } },
      { arguments: { 'x-overflow': 'reject-publish' } },
      inequivalent('x-overflow', "'reject-publish'", "'drop-head'"),
    ],
    [
      'priorities',
      {},
      { maxPriority: 5 },
      inequivalent('x-max-priority', "the value '5' of type 'byte'", 'none'),
    ],
    [
      'a dead letter exchange',
      {},
      { deadLetterExchange: 'amq.fanout' },
      inequivalent('x-dead-letter-exchange', text('amq.fanout'), 'none'),
    ],
    [
      'another dead letter key',
      { deadLetterExchange: 'x', deadLetterRoutingKey: 'one' },
      { deadLetterExchange: 'x', deadLetterRoutingKey: 'two' },
      inequivalent('x-dead-letter-routing-key', "'two'", "'one'"),
    ],
    [
      'a single active consumer',
      {},
      { arguments: { 'x-single-active-consumer': true } },
      inequivalent('x-single-active-consumer', "the value 'true' of type 'bool'", 'none'),
    ],
  ])('and wants to be %s is refused with 406', async (_, first, second, expected) => {
    const queue = unique('queue');
    const cleaner = await openChannel(server);
    const check = async (channel: Channel) => {
      await channel.assertQueue(queue, { durable: false, ...first });
      await channel.assertQueue(queue, { durable: false, ...second });
    };
    await expectRefusal(server, check, 'channel', 406, expected.replace('NAME', queue));
    await cleaner.deleteQueue(queue);
  });

  it('with an argument that means nothing is taken, though another was given', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel, { 'x-mine': 1 });
    await channel.assertQueue(queue, { durable: false, arguments: { 'x-mine': 2, 'x-other': true } });
  });

  it('with the same number in another width is taken', async () => {
    const client = await rawChannel(server);
    const queue = unique('queue');
    // As the codec writes them: a long-int and a long-long-int.
    for (const value of [60_000, 60_000n]) {
      const args = { queue, exclusive: true, arguments: { 'x-message-ttl': value } };
      await client.call('queue.declare', args, 'queue.declare-ok');
    }
  });
});

onEachServer('an argument of queue.declare that cannot be', (server) => {
  it.each<[string, unknown, string]>([
    ['x-message-ttl', -1, '{value_negative,-1}'],
    ['x-message-ttl', 'soon', '"expected integer, got longstr"'],
    ['x-message-ttl', 2 ** 50, `{value_too_large,${2 ** 50}}`],
    ['x-expires', 0, '{value_zero,0}'],
    ['x-expires', -1, '{value_negative,-1}'],
    ['x-max-length', -1, '{value_negative,-1}'],
    ['x-max-length', 'ten', '"expected integer, got longstr"'],
    ['x-max-length-bytes', -1, '{value_negative,-1}'],
    ['x-max-priority', -1, '{value_negative,-1}'],
    ['x-max-priority', 256, '{max_value_exceeded,256}'],
    ['x-overflow', 'explode', 'invalid_overflow'],
    ['x-queue-mode', 'eager', '"unsupported queue mode \'eager\'"'],
    ['x-dead-letter-routing-key', 'key', 'routing_key_but_no_dlx_defined'],
    ['x-single-active-consumer', 'yes', '{unacceptable_type,longstr}'],
    ['x-queue-type', 70_000, '{unacceptable_type,signedint}'],
  ])('%s = %s is refused with 406', async (argument, value, reason) => {
    const queue = unique('queue');
    await expectRefusal(
      server,
      (channel) => channel.assertQueue(queue, { exclusive: true, arguments: { [argument]: value } }),
      'channel',
      406,
      `PRECONDITION_FAILED - invalid arg '${argument}' for queue '${queue}' in vhost '/': ${reason}`,
    );
  });

  it('x-dead-letter-exchange = 70000 is refused with 406', async () => {
    const queue = unique('queue');
    const args = { 'x-dead-letter-exchange': 70_000 };
    await expectRefusal(
      server,
      (channel) => channel.assertQueue(queue, { exclusive: true, arguments: args }),
      'channel',
      406,
      `PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '/'`,
    );
  });
});

/** A number in each of its types, as RabbitMQ names them. */
const INTEGERS: readonly [type: string, letter: string, octets: string][] = [
  ['byte', 'b', '05'],
  ['unsignedbyte', 'B', '05'],
  ['short', 's', '0005'],
  ['unsignedshort', 'u', '0005'],
  ['signedint', 'I', '00000005'],
  ['unsignedint', 'i', '00000005'],
  ['long', 'l', '0000000000000005'],
  ['long', 'L', '0000000000000005'],
];
/** And what is none: its octets, and how RabbitMQ writes it. */
const NO_INTEGERS: readonly [type: string, letter: string, octets: string, shown: string][] = [
  ['float', 'f', '40a00000', '5.0'],
  ['double', 'd', '4014000000000000', '5.0'],
  ['double', 'd', '3ff8000000000000', '1.5'],
  ['bool', 't', '01', 'true'],
  ['longstr', 'S', '0000000135', '5'],
];

onEachServer('an argument of queue.declare of the type', (server) => {
  const declare = async (queue: string, ...fields: FieldOctets[]) => {
    const client = await rawChannel(server);
    client.send(methodWith('queue.declare', { queue }, ...fields));
    const answer = await client.next();
    if (answer.type !== 'method') throw new Error(answer.type);
    return answer.name === 'channel.close' ? answer.arguments.replyText : answer.name;
  };
  const ownName = async () => {
    const queue = unique('queue');
    const cleaner = await openChannel(server);
    teardown(() => cleaner.deleteQueue(queue));
    return queue;
  };
  const refusal = (queue: string, rest: string) =>
    `PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '${queue}' in vhost '/': ${rest}`;

  it.each(INTEGERS)('%s (%s) is an integer as any other', async (type, letter, octets) => {
    const queue = await ownName();
    expect(await declare(queue, ['x-message-ttl', letter, octets])).toBe('queue.declare-ok');
    expect(await declare(queue, ['x-message-ttl', 'l', '0000000000000005'])).toBe('queue.declare-ok');
    expect(await declare(queue, ['x-message-ttl', 'T', '0000000000000005'])).toBe('queue.declare-ok');
    expect(await declare(queue)).toBe(
      refusal(queue, `received none but current is the value '5' of type '${type}'`),
    );
    expect(await declare(queue, ['x-message-ttl', 'd', '4014000000000000'])).toBe(
      refusal(queue, "received '5.0' but current is '5'"),
    );
  });

  it.each(NO_INTEGERS)('%s (%s %s) is none', async (type, letter, octets, shown) => {
    const queue = unique('queue');
    expect(await declare(queue, ['x-message-ttl', letter, octets])).toBe(
      `PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '${queue}' in vhost '/': "expected integer, got ${type}"`,
    );
    const there = await ownName();
    await declare(there, ['x-message-ttl', 'b', '06']);
    expect(await declare(there, ['x-message-ttl', letter, octets])).toBe(
      refusal(there, `received '${shown}' but current is '6'`),
    );
  });

  const noTexts = [...INTEGERS, ...NO_INTEGERS.filter(([type]) => type !== 'longstr')].map(
    ([type, letter, octets]) => [type, letter, octets] as const,
  );

  it.each(noTexts)('%s (%s) is no text', async (type, letter, octets) => {
    const queue = unique('queue');
    expect(await declare(queue, ['x-overflow', letter, octets])).toBe(
      `PRECONDITION_FAILED - invalid arg 'x-overflow' for queue '${queue}' in vhost '/': {unacceptable_type,${type}}`,
    );
    expect(await declare(queue, ['x-dead-letter-exchange', letter, octets])).toBe(
      `PRECONDITION_FAILED - invalid type '${type}' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '/'`,
    );
  });

  it('void is no value', async () => {
    const queue = await ownName();
    await declare(queue, ['x-message-ttl', 'b', '05']);
    expect(await declare(queue, ['x-message-ttl', 'V', ''])).toBe(
      refusal(queue, "received none but current is '5'"),
    );
    const other = await ownName();
    await declare(other);
    expect(await declare(other, ['x-message-ttl', 'V', ''])).toBe(
      refusal(other, "received the value 'undefined' of type 'void' but current is none"),
    );
  });
});

onEachServer('a queue of a type', (server) => {
  const refusal = (queue: string, type: string) =>
    `PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '${queue}' in vhost '/': "unsupported queue type '${type}'"`;

  it('classic is an ordinary one', async () => {
    const channel = await openChannel(server);
    await ownQueue(channel, { 'x-queue-type': 'classic' });
  });

  it('that nobody knows is refused with 406', () => {
    const queue = unique('queue');
    const args = { 'x-queue-type': 'unheard-of' };
    const declare = (channel: Channel) => channel.assertQueue(queue, { arguments: args });
    return expectRefusal(server, declare, 'channel', 406, refusal(queue, 'unheard-of'));
  });

  it('that is there is of that type', async () => {
    const channel = await openChannel(server);
    const queue = await sharedQueue(channel);
    await channel.assertQueue(queue, { durable: false, arguments: { 'x-queue-type': 'classic' } });
    const text = `PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '${queue}' in vhost '/': received the value 'quorum' of type 'longstr' but current is none`;
    const args = { 'x-queue-type': 'quorum' };
    const declare = (other: Channel) => other.assertQueue(queue, { durable: false, arguments: args });
    await expectRefusal(server, declare, 'channel', 406, text);
  });

  it.each(['quorum', 'stream'])('%s is there or refused with 406', async (type) => {
    const queue = unique('queue');
    const declared = declaring(server, queue, { 'x-queue-type': type });
    const answers = { RabbitMQ: queue, 'the node': refusal(queue, type) };
    expect(await declared).toContain(server.expected('queue types', answers));
  });
});

/** The name of the queue when it was declared (and deleted again), else why not. */
async function declaring(server: Server, queue: string, args: object): Promise<string> {
  const channel = await openChannel(server);
  try {
    const declared = await channel.assertQueue(queue, { durable: true, arguments: args });
    await channel.deleteQueue(queue);
    return declared.queue;
  } catch (error) {
    return String(error);
  }
}
