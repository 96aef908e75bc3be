import { describe, expect, it } from 'vitest';
import { createBroker, drain, refusal, TestConsumer, TextMessage, take, textOf } from './support.js';

describe('a queue without consumers', () => {
  it('gives messages back in the order in which they came', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    const texts = Array.from({ length: 2_000 }, (_, index) => `${index}`);
    client.send('q', ...texts);

    expect(queue.messageCount).toBe(2_000);
    expect(drain(queue)).toEqual(texts);
    expect(queue.messageCount).toBe(0);
  });

  it('retains what it holds, once, however many queues hold it', () => {
    const { client } = createBroker();
    const [one, two] = [client.queue('one'), client.queue('two')];
    client.bind('one', 'amq.fanout');
    client.bind('two', 'amq.fanout');
    client.publish('amq.fanout', '', 'a');

    const [first, second] = [take(one), take(two)];
    expect(first?.message).toBe(second?.message);
    expect(first?.message).toMatchObject({ retained: 1, holders: 2 });
  });

  it('counts what basic.get took as unacknowledged until it is settled, unless it needs no acknowledgement', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b');

    const entry = take(queue);
    expect(queue.unacknowledgedCount).toBe(1);
    expect(take(queue, true)?.state).toBe('settled');
    expect(queue.unacknowledgedCount).toBe(1);
    if (entry !== undefined) queue.settle(entry);
    expect(queue.unacknowledgedCount).toBe(0);
    expect(take(queue)).toBeUndefined();
  });

  it('drops what is ready when it is purged, and keeps what is out for acknowledgement', () => {
    const { client, host } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b', 'c', 'd');
    const [a, b] = [take(queue), take(queue)];
    if (a !== undefined) queue.requeue([a]);

    expect(host.purgeQueue('q', client)).toBe(3);
    expect(queue.messageCount).toBe(0);
    if (b !== undefined) queue.requeue([b]);
    expect(drain(queue)).toEqual(['b']);
  });
});

describe('consumers', () => {
  it('get nothing before their first wake, then all that is ready', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b');
    const consumer = new TestConsumer();
    const subscription = queue.consume(consumer);
    client.send('q', 'c');

    expect(consumer.texts).toEqual([]);
    subscription.wake();
    expect(consumer.texts).toEqual(['a', 'b', 'c']);
  });

  it('take turns, message by message', () => {
    const { client } = createBroker();
    client.queue('q');
    const consumers = [new TestConsumer(), new TestConsumer(), new TestConsumer()];
    for (const consumer of consumers) client.consume('q', consumer);
    client.send('q', '1', '2', '3', '4', '5', '6', '7');

    expect(consumers.map((consumer) => consumer.texts)).toEqual([
      ['1', '4', '7'],
      ['2', '5'],
      ['3', '6'],
    ]);
  });

  it('that cannot take are passed over, and join the turns again when they are woken', () => {
    const { client } = createBroker();
    client.queue('q');
    const [full, free] = [new TestConsumer({ room: 1 }), new TestConsumer()];
    const subscription = client.consume('q', full);
    client.consume('q', free);
    client.send('q', '1', '2', '3', '4');
    expect(full.texts).toEqual(['1']);
    expect(free.texts).toEqual(['2', '3', '4']);

    full.room = 2;
    subscription.wake();
    client.send('q', '5', '6', '7', '8');
    expect(full.texts).toEqual(['1', '6', '8']);
    expect(free.texts).toEqual(['2', '3', '4', '5', '7']);
  });

  it('are not asked again before they are woken', () => {
    const { client } = createBroker();
    client.queue('q');
    let asked = 0;
    const consumer = Object.assign(new TestConsumer(), {
      canTake: () => {
        asked++;
        return false;
      },
    });
    const subscription = client.consume('q', consumer);
    client.send('q', '1', '2', '3');
    expect(asked).toBe(1);
    subscription.wake();
    expect(asked).toBe(2);
  });

  it('of a lower priority get messages only when all of a higher one cannot take', () => {
    const { client } = createBroker();
    client.queue('q');
    const [low, high, middle] = [
      new TestConsumer({ priority: -1 }),
      new TestConsumer({ priority: 10, room: 2 }),
      new TestConsumer({ priority: 3, room: 1 }),
    ];
    for (const consumer of [low, high, middle]) client.consume('q', consumer);
    client.send('q', '1', '2', '3', '4');

    expect([high.texts, middle.texts, low.texts]).toEqual([['1', '2'], ['3'], ['4']]);
  });

  it('are handed a message of an empty queue without its being held when nothing is to be acknowledged', () => {
    const { client, memory } = createBroker();
    client.queue('q');
    const bytes: number[] = [];
    const consumer = new TestConsumer({ noAck: true, onDeliver: () => bytes.push(memory.bytes) });
    client.consume('q', consumer);
    client.send('q', 'a');

    expect(consumer.deliveries).toEqual([{ text: 'a', redelivered: false, entry: undefined }]);
    expect(bytes).toEqual([0]);
  });

  it('are handed a retained message with its entry when it is to be acknowledged', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    const consumer = new TestConsumer();
    client.consume('q', consumer);
    client.send('q', 'a');

    expect(consumer.entries[0]).toMatchObject({ queue, state: 'unacknowledged', message: { retained: 1 } });
    expect(queue.unacknowledgedCount).toBe(1);
  });

  it('that have cancelled get nothing more, and keep what they have not acknowledged', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    const consumer = new TestConsumer();
    const subscription = client.consume('q', consumer);
    client.send('q', 'a');
    subscription.cancel();
    subscription.cancel();
    subscription.wake();
    client.send('q', 'b');

    expect(consumer.texts).toEqual(['a']);
    expect(queue).toMatchObject({ consumerCount: 0, unacknowledgedCount: 1, messageCount: 1 });
    expect(consumer.cancellations).toBe(0);
  });
});

describe('an exclusive consumer', () => {
  const refused = "access-refused: queue 'q' in vhost '/' in exclusive use";

  it('keeps others off the queue until it has cancelled', () => {
    const { client } = createBroker();
    client.queue('q');
    const subscription = client.consume('q', new TestConsumer({ exclusive: true }));
    expect(refusal(() => client.consume('q', new TestConsumer()))).toBe(refused);
    subscription.cancel();
    client.consume('q', new TestConsumer());
  });

  it('is refused where others are', () => {
    const { client } = createBroker();
    client.queue('q');
    client.consume('q', new TestConsumer({ room: 0 }));
    expect(refusal(() => client.consume('q', new TestConsumer({ exclusive: true })))).toBe(refused);
  });
});

describe('requeued entries', () => {
  it('go back to their original places, whatever order they come in', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', ...'abcdefgh');
    const entries = Array.from({ length: 6 }, () => take(queue)).filter((entry) => entry !== undefined);
    const [a, b, c, d, e, f] = entries;
    for (const batch of [[e, b], [d], [f, a, c]]) queue.requeue(batch.filter((entry) => entry !== undefined));

    expect(drain(queue)).toEqual([...'abcdefgh']);
  });

  it('are marked as redelivered, others are not', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b');
    const entry = take(queue);
    if (entry !== undefined) queue.requeue([entry]);
    const consumer = new TestConsumer({ noAck: true });
    client.consume('q', consumer);

    expect(consumer.deliveries).toMatchObject([
      { text: 'a', redelivered: true },
      { text: 'b', redelivered: false },
    ]);
  });

  it('of one call are all back before any of them is handed out', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', ...'abc');
    const entries = [take(queue), take(queue), take(queue)].filter((entry) => entry !== undefined);
    const consumer = new TestConsumer();
    client.consume('q', consumer);
    queue.requeue(entries.reverse());

    expect(consumer.texts).toEqual(['a', 'b', 'c']);
  });

  it('are forgotten when they were settled before, or requeued already', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b');
    const [a, b] = [take(queue), take(queue)];
    if (a === undefined || b === undefined) throw new Error('nothing was ready');
    queue.settle(a);
    queue.settle(a);
    queue.requeue([a, b]);
    queue.requeue([b]);

    expect(queue).toMatchObject({ messageCount: 1, unacknowledgedCount: 0 });
    expect(drain(queue)).toEqual(['b']);
    expect(memory.bytes).toBe(0);
  });
});

describe('a consumer that calls the queue back while it is handed a message', () => {
  it('publishes, and what it publishes comes in order and not inside the call', () => {
    const { client } = createBroker();
    client.queue('q');
    let depth = 0;
    let deepest = 0;
    const consumer: TestConsumer = new TestConsumer({
      noAck: true,
      onDeliver: ({ text }) => {
        deepest = Math.max(deepest, ++depth);
        if (text.length < 3) client.send('q', `${text}0`, `${text}1`);
        depth--;
      },
    });
    client.consume('q', consumer);
    client.send('q', 'x');

    expect(consumer.texts).toEqual(['x', 'x0', 'x1', 'x00', 'x01', 'x10', 'x11']);
    expect(deepest).toBe(1);
  });

  it('settles at once, and makes room for itself by that', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    const consumer: TestConsumer = new TestConsumer({
      room: 1,
      onDeliver: ({ entry }) => {
        if (entry !== undefined) queue.settle(entry);
        consumer.room++;
        subscription.wake();
      },
    });
    const subscription = queue.consume(consumer);
    client.send('q', ...'abcdef');
    subscription.wake();

    expect(consumer.texts).toEqual([...'abcdef']);
    expect(memory).toMatchObject({ bytes: 0, entries: 0 });
  });

  it('requeues, and the next one gets the message', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    const picky: TestConsumer = new TestConsumer({
      room: 1,
      onDeliver: ({ entry }) => {
        if (entry !== undefined) queue.requeue([entry]);
      },
    });
    const other = new TestConsumer();
    client.consume('q', picky);
    client.consume('q', other);
    client.send('q', 'a', 'b');

    expect(picky.texts).toEqual(['a']);
    expect(other.deliveries).toMatchObject([
      { text: 'a', redelivered: true },
      { text: 'b', redelivered: false },
    ]);
  });

  it('cancels itself, and the rest goes to the others', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    client.send('q', ...'abc');
    const leaving: TestConsumer = new TestConsumer({ onDeliver: () => subscription.cancel() });
    const other = new TestConsumer({ room: 2 });
    const subscription = queue.consume(leaving);
    subscription.wake();
    client.consume('q', other);

    expect(leaving.texts).toEqual(['a']);
    expect(other.texts).toEqual(['b', 'c']);
  });

  it('deletes the queue, and nobody gets anything more', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    client.send('q', ...'abc');
    const consumer: TestConsumer = new TestConsumer({
      noAck: true,
      onDeliver: () => client.deleteQueue('q'),
    });
    client.consume('q', consumer);

    expect(consumer.texts).toEqual(['a']);
    expect(consumer.cancellations).toBe(1);
    expect(queue.enqueue(new TextMessage('', 'q', 'd'), client)).toBe(false);
    expect(memory.bytes).toBe(0);
  });
});

describe('a deleted queue', () => {
  it('tells its consumers, and takes neither messages nor consumers', () => {
    const { client } = createBroker();
    const queue = client.queue('q');
    const consumers = [new TestConsumer(), new TestConsumer({ room: 0 })];
    for (const consumer of consumers) client.consume('q', consumer);
    client.deleteQueue('q');

    expect(consumers.map((consumer) => consumer.cancellations)).toEqual([1, 1]);
    expect(client.publish('', 'q', 'a')).toBe(0);
    expect(refusal(() => queue.consume(new TestConsumer()))).toBe("not-found: no queue 'q' in vhost '/'");
  });

  it('leaves entries that are out on the account until their holder gives them back', () => {
    const { client, memory } = createBroker();
    const queue = client.queue('q');
    client.send('q', 'a', 'b', 'c');
    const [a, b] = [take(queue), take(queue)];
    expect(client.deleteQueue('q')).toBe(1);
    expect(memory.entries).toBe(2);

    if (a === undefined || b === undefined) throw new Error('nothing was ready');
    expect(textOf(a.message)).toBe('a');
    queue.settle(a);
    queue.requeue([b]);
    expect(memory).toMatchObject({ bytes: 0, entries: 0 });
    expect(queue.messageCount).toBe(0);
  });
});
