import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NodeHomeBroker } from '../../src/home-broker/index.js';
import { MESSAGE_OVERHEAD_BYTES } from '../../src/home-broker/limits.js';
import { createBroker, TestConsumer } from '../broker/support.js';
import { outgoing } from '../overlay/messages.js';
import { anyone, passwordOf } from './support.js';

const CHECK_BYTES = 4_096;
const HIGH_BYTES = 65_536;
const STALL_MS = 5_000;
const POLL_MS = 10;
/** Of a message as it is published here, with what it counts beside. */
const MESSAGE_BYTES = 1_024;

/** A message that counts as many octets as is said. */
function message(bytes = MESSAGE_BYTES) {
  const empty = outgoing('k');
  return outgoing('k', Buffer.alloc(bytes - MESSAGE_OVERHEAD_BYTES - empty.headerEnd));
}

/** Takes nothing until it is told to. */
class Reader extends TestConsumer {
  taken = 0;
  override deliver(): void {
    this.room--;
    this.taken++;
  }
}

/** An outlet with a queue of a relay, without the network in between. */
async function startOutlet() {
  const { broker, memory } = createBroker();
  const warnings: object[] = [];
  const quiet = () => {};
  const logger = {
    debug: quiet,
    info: quiet,
    warn: (fields: object) => void warnings.push(fields),
    error: quiet,
  };
  const limits = { checkBytes: CHECK_BYTES, highBytes: HIGH_BYTES, stallMs: STALL_MS, pollMs: POLL_MS };
  const open = broker.openPrivateVirtualHost.bind(broker);
  let host: ReturnType<typeof open> | undefined;
  vi.spyOn(broker, 'openPrivateVirtualHost').mockImplementation((rules) => {
    host = open(rules);
    return host;
  });
  const home = new NodeHomeBroker({ broker, logger, limits });
  home.listening([{ host: '127.0.0.1', port: 1, tls: false }]);
  const [member, relay] = [anyone(), anyone()];
  const access = await home.openRelayAccess({ member, passwordOf });
  const outlet = access.openOutlet('topic', () => {});
  if (host === undefined) throw new Error('no private virtual host');
  const virtualHost = host;
  const addReader = (of = relay) => {
    const owner = {};
    const name = `${member}.${of}.${outlet.number}.q`;
    const spec = { durable: false, exclusive: true, autoDelete: true, arguments: {} };
    const queue = virtualHost.declareQueue(name, spec, owner);
    const pattern = { routingKey: '', arguments: {} };
    void virtualHost.bindQueue({ queue: name, exchange: outlet.everything, pattern }, owner);
    const consumer = new Reader({ noAck: true, room: 0 });
    const subscription = queue.consume(consumer);
    subscription.wake();
    const take = (messages: number) => {
      consumer.room = messages;
      subscription.wake();
    };
    return { queue, take, consumer, leave: () => virtualHost.releaseOwner(owner) };
  };
  return { access, outlet, relay, memory, warnings, addReader, reader: addReader() };
}

type Setup = Awaited<ReturnType<typeof startOutlet>>;

/** Publishes until the outlet asks to pause. */
function fill({ outlet }: Setup, max = 1_000): { readonly pause: Promise<void>; readonly messages: number } {
  for (let messages = 1; messages <= max; messages++) {
    const pause = outlet.publish(message());
    if (pause !== undefined) return { pause, messages };
  }
  throw new Error('nobody was asked to pause');
}

async function isOver(pause: Promise<void>): Promise<boolean> {
  return Promise.race([pause.then(() => true), Promise.resolve().then(() => false)]);
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('an outlet whose reader is slow', () => {
  it('asks publishers to pause when too much waits, until it is below half of that', async () => {
    const setup = await startOutlet();
    const { pause, messages } = fill(setup);
    expect(messages * MESSAGE_BYTES).toBeGreaterThan(HIGH_BYTES);
    expect(messages * MESSAGE_BYTES).toBeLessThanOrEqual(HIGH_BYTES + CHECK_BYTES);
    expect(setup.outlet.publish(message())).toBe(pause);
    setup.reader.take(messages / 2 - 1);
    vi.advanceTimersByTime(POLL_MS);
    expect(await isOver(pause)).toBe(false);
    setup.reader.take(5);
    vi.advanceTimersByTime(POLL_MS);
    expect(await isOver(pause)).toBe(true);
    expect(setup.outlet.publish(message())).toBeUndefined();
    expect(setup.warnings).toEqual([]);
  });

  it('waits for as long as it takes anything', async () => {
    const setup = await startOutlet();
    const { pause } = fill(setup);
    for (let times = 0; times < 10; times++) {
      vi.advanceTimersByTime(STALL_MS - 2 * POLL_MS);
      setup.reader.take(1);
    }
    expect(await isOver(pause)).toBe(false);
    expect(setup.outlet.reader(setup.relay)?.droppedMessages).toBe(0);
    setup.outlet.close();
  });

  it('counts small messages by what they cost to hold', async () => {
    const { outlet, reader } = await startOutlet();
    let messages = 0;
    while (outlet.publish(outgoing('k')) === undefined) messages++;
    expect(messages * MESSAGE_OVERHEAD_BYTES).toBeLessThanOrEqual(HIGH_BYTES + CHECK_BYTES);
    expect(reader.queue.messageCount).toBe(messages + 1);
    outlet.close();
  });

  it('goes on when the reader leaves, and when it is closed', async () => {
    const setup = await startOutlet();
    const first = fill(setup);
    setup.reader.leave();
    vi.advanceTimersByTime(POLL_MS);
    expect(await isOver(first.pause)).toBe(true);
    setup.addReader();
    const second = fill(setup);
    setup.access.close();
    expect(await isOver(second.pause)).toBe(true);
    expect(setup.outlet.publish(message())).toBeUndefined();
    expect(setup.memory.bytes).toBe(0);
  });
});

describe('an outlet whose reader takes nothing', () => {
  it('drops what waits for it after a while, says so once, and waits for it no longer', async () => {
    const setup = await startOutlet();
    const { pause, messages } = fill(setup);
    vi.advanceTimersByTime(STALL_MS - POLL_MS);
    expect(await isOver(pause)).toBe(false);
    vi.advanceTimersByTime(2 * POLL_MS);
    expect(await isOver(pause)).toBe(true);
    expect(setup.outlet.reader(setup.relay)).toMatchObject({ messages, bytes: 0, droppedMessages: messages });
    expect(setup.warnings).toEqual([
      { relay: setup.relay, outlet: setup.outlet.exchange, droppedMessages: messages },
    ]);
    let most = 0;
    for (let more = 0; more < 10 * messages; more++) {
      expect(setup.outlet.publish(message())).toBeUndefined();
      most = Math.max(most, setup.reader.queue.messageCount);
    }
    expect(most * MESSAGE_BYTES).toBeLessThanOrEqual(HIGH_BYTES + 2 * CHECK_BYTES);
    expect(setup.outlet.reader(setup.relay)?.droppedMessages).toBeGreaterThan(9 * messages);
    expect(setup.warnings).toHaveLength(1);
    expect(setup.memory.bytes).toBeLessThan(2 * HIGH_BYTES);
  });

  it('waits for it again once it has taken something', async () => {
    const setup = await startOutlet();
    fill(setup);
    vi.advanceTimersByTime(STALL_MS + POLL_MS);
    setup.outlet.publish(message());
    setup.reader.take(1);
    expect(setup.reader.consumer.taken).toBe(1);
    const { pause } = fill(setup);
    vi.advanceTimersByTime(STALL_MS + POLL_MS);
    expect(await isOver(pause)).toBe(true);
    expect(setup.warnings).toHaveLength(2);
  });

  it('keeps what waits for other readers', async () => {
    const setup = await startOutlet();
    const other = setup.addReader(anyone());
    other.take(Number.POSITIVE_INFINITY);
    const { messages } = fill(setup);
    vi.advanceTimersByTime(STALL_MS + POLL_MS);
    expect(other.consumer.taken).toBe(messages);
    expect(setup.outlet.publish(message())).toBeUndefined();
    expect(other.consumer.taken).toBe(messages + 1);
  });
});

describe('an outlet that nobody reads', () => {
  it('asks nobody to pause, and holds nothing', async () => {
    const { outlet, reader, memory } = await startOutlet();
    reader.leave();
    for (let times = 0; times < 1_000; times++) expect(outlet.publish(message())).toBeUndefined();
    expect(memory.bytes).toBe(0);
  });
});
