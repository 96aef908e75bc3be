import type { LoadOptions } from './load.js';
import { RawClient } from './raw-client.js';
import { onChannel } from './testbed.js';

/** What is asked of one server. */
export interface Scenario {
  readonly name: string;
  readonly messages: number;
  readonly load: Omit<LoadOptions, 'messages' | 'ratePerSecond'>;
  readonly exchange: string;
  readonly routingKeys: readonly string[];
  readonly queues: readonly string[];
  /** Declares what the load needs. */
  prepare(url: string): Promise<void>;
}

const QUEUE = 'bench';
const EXCHANGE = 'bench';
const KEY = 'bench.load';
const SIZE_BYTES = 100;
const FEW_BINDINGS = 10;
const MANY_BINDINGS = 100_000;
/** More than are worth remembering: whatever a server caches by routing key is of little use. */
const DIFFERENT_KEYS = 100_000;
const FANOUT_QUEUES = Array.from({ length: 10 }, (_, index) => `${QUEUE}-${index}`);

const one = { exchange: EXCHANGE, routingKeys: [KEY], queues: [QUEUE] } as const;

export const noAck: Scenario = {
  ...one,
  name: 'no-ack',
  messages: 1_000_000,
  load: { sizeBytes: SIZE_BYTES },
  prepare: (url) => declare(url, 'direct', [QUEUE], false),
};

export const acks: Scenario = {
  ...one,
  name: 'acks, prefetch 300',
  messages: 500_000,
  load: { sizeBytes: SIZE_BYTES, prefetch: 300 },
  prepare: (url) => declare(url, 'direct', [QUEUE], false),
};

export const persistent: Scenario = {
  ...one,
  name: 'persistent, confirms 1,000',
  messages: 200_000,
  load: { sizeBytes: SIZE_BYTES, prefetch: 300, persistent: true, confirmWindow: 1_000 },
  prepare: (url) => declare(url, 'direct', [QUEUE], true),
};

/** Nobody takes a message before it is on the disk. */
export const kept: Scenario = {
  ...persistent,
  name: 'persistent, kept',
  load: { sizeBytes: SIZE_BYTES, persistent: true, confirmWindow: 1_000 },
  queues: [],
};

export const fanout: Scenario = {
  ...one,
  name: 'fanout to 10 queues',
  messages: 100_000,
  load: { sizeBytes: SIZE_BYTES },
  queues: FANOUT_QUEUES,
  prepare: (url) => declare(url, 'fanout', FANOUT_QUEUES, false),
};

export const fewBindings = topic(FEW_BINDINGS);
export const manyBindings = topic(MANY_BINDINGS);

/** Every message matches one of the bindings, and hardly two in a row have the same routing key. */
function topic(bindings: number): Scenario {
  return {
    ...one,
    name: `topic, ${bindings.toLocaleString('en')} bindings`,
    messages: 200_000,
    load: { sizeBytes: SIZE_BYTES },
    routingKeys: Array.from({ length: DIFFERENT_KEYS }, (_, key) => `site.${key % bindings}.sensor.${key}`),
    async prepare(url) {
      await declare(url, 'topic', [], false);
      await onChannel(url, async (channel) => void (await channel.assertQueue(QUEUE, { durable: false })));
      const client = await RawClient.connect(url);
      const patterns = Array.from(
        { length: bindings },
        (_, site) => `site.${site}.${site % 2 ? '#' : '*.*'}`,
      );
      await client.bind(QUEUE, EXCHANGE, patterns);
      client.close();
    },
  };
}

async function declare(
  url: string,
  type: string,
  queues: readonly string[],
  durable: boolean,
): Promise<void> {
  await onChannel(url, async (channel) => {
    await channel.assertExchange(EXCHANGE, type, { durable });
    for (const queue of queues) {
      await channel.assertQueue(queue, { durable });
      await channel.bindQueue(queue, EXCHANGE, KEY);
    }
  });
}
