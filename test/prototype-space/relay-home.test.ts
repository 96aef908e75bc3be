import { describe, expect, it } from 'vitest';
import type { FieldTable } from '../../src/amqp-codec/index.js';
import { encodeHeader } from '../../src/amqp-codec/index.js';
import type { OutgoingMessage, Pattern, PointType } from '../../src/overlay/index.js';
import { EVERYTHING } from '../../src/overlay/index.js';
import type { Endpoint, Outlet } from '../../src/prototype-space/home-broker.js';
import { RelayLink } from '../../src/prototype-space/relay-link.js';
import { LogStub } from '../dht-space/log-stub.js';
import { MemoryStub } from '../dht-space/memory-stub.js';
import { anyone, passwordOf, startHome } from '../home-broker/support.js';
import { eventually } from '../support/eventually.js';
import { seed } from '../support/random.js';
import { teardown } from '../support/teardown.js';
import { linked, PointStub, pattern } from './relay-point.js';

const KIB = 1024;
const MIB = 1024 * KIB;

function outgoing(routingKey: string, body: Buffer, headers: Pattern['arguments'] = {}): OutgoingMessage {
  const properties = { deliveryMode: 1, messageId: routingKey, headers: headers as FieldTable };
  const header = encodeHeader(body.length, properties);
  const bytes = Buffer.concat([header, body]);
  const ends = { headerEnd: header.length, bodyStart: header.length, bodyEnd: bytes.length };
  return { routingKey, bytes, headerStart: 0, ...ends, headers: () => headers };
}

function publish(outlet: Outlet, routingKey: string, text = routingKey): void {
  void outlet.publish(outgoing(routingKey, Buffer.from(text)));
}

/** A member with an outlet, and another member's link to it. */
async function start(type: PointType, point: PointStub) {
  const node = await startHome();
  const [member, relay] = [anyone(), anyone()];
  const access = await node.home.openRelayAccess({ member, passwordOf });
  teardown(() => access.close());
  const outlet = access.openOutlet(type, () => {});
  Object.assign(point.outlet, { ...offer(outlet) });
  const log = new LogStub();
  const options = { self: relay, peer: member, logger: log, memory: new MemoryStub(), random: () => 0 };
  const link = new RelayLink(options);
  teardown(() => link.close());
  const endpoint: Endpoint = { ...access.endpoint, host: '127.0.0.1' };
  link.update(endpoint, passwordOf(relay));
  const reader = link.open(point);
  await linked(reader);
  return { access, outlet, link, reader, relay, endpoint, log };
}

function offer({ number, exchange, everything }: Outlet) {
  return { number, exchange, everything };
}

describe('a link to a node', () => {
  it('brings what is wanted, and stops when it is not wanted any more', async () => {
    const point = new PointStub(pattern('a.*'));
    const { outlet, reader, relay } = await start('topic', point);
    expect(outlet.reader(relay)?.bindings).toBe(1);
    publish(outlet, 'a.1');
    publish(outlet, 'b.1');
    await reader.bind(pattern('b.*'));
    publish(outlet, 'b.2');
    reader.unbind(pattern('a.*'));
    await reader.bind(pattern('marker'));
    expect(outlet.reader(relay)?.bindings).toBe(2);
    publish(outlet, 'a.2');
    publish(outlet, 'marker');
    await eventually(() => point.received.length === 3);
    expect(point.bodies).toEqual(['a.1', 'b.2', 'marker']);
    expect(reader.receivedMessages).toBe(3);
  });

  it('binds arguments of all sorts so that they are found when they are unbound', async () => {
    const point = new PointStub();
    const { outlet, reader, relay } = await start('headers', point);
    const wanted = [
      pattern('', { 'x-match': 'any', n: 1, big: 2n ** 62n, half: 0.5, no: false, nothing: null }),
      pattern('', {
        'x-match': 'all',
        text: 'ü',
        at: new Date(1_700_000_000_000),
        raw: Buffer.from([0, 255]),
      }),
      pattern('', { 'x-match': 'all', deep: { list: [1, 'two', { three: true }] } }),
    ];
    for (const interest of wanted) await reader.bind(interest);
    expect(outlet.reader(relay)?.bindings).toBe(3);
    for (const interest of wanted) reader.unbind(interest);
    await eventually(() => outlet.reader(relay)?.bindings === 0);
  });

  it('brings each message once where everything is wanted beside something', async () => {
    const point = new PointStub(EVERYTHING, pattern('k'));
    const { outlet, reader } = await start('direct', point);
    publish(outlet, 'k', '1');
    publish(outlet, 'other', '2');
    reader.unbind(EVERYTHING);
    await reader.bind(pattern('marker'));
    publish(outlet, 'other', '3');
    publish(outlet, 'marker', '4');
    await eventually(() => point.bodies.includes('4'));
    expect(point.bodies).toEqual(['1', '2', '4']);
  });

  it(`brings contents of all sizes in their order, with every octet of their headers (SEED=${seed})`, async () => {
    const point = new PointStub(EVERYTHING);
    const { outlet } = await start('fanout', point);
    const headers = {
      half: 0.5,
      text: 'ü',
      deep: { list: [1, true, 2n ** 60n] },
      raw: Buffer.from([0, 255]),
    };
    const sizes = [0, 1, 100, 4 * KIB, MIB, 0, 5 * MIB, 1, 16 * MIB, 100];
    const sent = sizes.map((size, index) =>
      outgoing(`key.${index % 3}`, Buffer.alloc(size, `${seed} ${index} `), headers),
    );
    for (const message of sent) void outlet.publish(message);
    await eventually(() => point.received.length === sent.length);
    for (const [index, { routingKey, header, body }] of point.received.entries()) {
      const { bytes, headerEnd } = sent[index] as OutgoingMessage;
      expect(routingKey).toBe(sent[index]?.routingKey);
      expect([header.equals(bytes.subarray(0, headerEnd)), body.equals(bytes.subarray(headerEnd))]).toEqual([
        true,
        true,
      ]);
    }
  });

  it('comes back when the member ends it, and brings nothing twice', async () => {
    const point = new PointStub(EVERYTHING);
    const { access, outlet, reader, relay, log } = await start('fanout', point);
    for (let times = 0; times < 3; times++) {
      publish(outlet, `before ${times}`);
      await eventually(() => point.bodies.at(-1) === `before ${times}`);
      const { changes } = point;
      access.dismiss(relay);
      // Down, and up again.
      await eventually(() => point.changes === changes + 2);
      expect(reader.state).toBe('linked');
      publish(outlet, `after ${times}`);
      await eventually(() => point.bodies.at(-1) === `after ${times}`);
    }
    expect(new Set(point.bodies).size).toBe(point.bodies.length);
    expect(log.about('is down')[0]?.fields.cause).toMatch(/320 CONNECTION_FORCED/);
  });

  it('finds an outlet that is opened only later', async () => {
    const { access, link, log, reader } = await start('fanout', new PointStub());
    const point = new PointStub(EVERYTHING);
    const { number, exchange } = access.openOutlet('fanout', () => {});
    const next = { number: number + 1, exchange: exchange.replace(/\d+$/, `${number + 1}`) };
    Object.assign(point.outlet, { ...next, everything: `${next.exchange}.all` });
    const early = link.open(point);
    await eventually(() => log.about('cannot be read').length > 0);
    const outlet = access.openOutlet('fanout', () => {});
    await linked(early);
    publish(outlet, 'k', 'x');
    await eventually(() => point.bodies.length === 1);
    expect(reader.state).toBe('linked');
    outlet.close();
    await eventually(() => early.state === 'down');
    expect(reader.state).toBe('linked');
  });

  it('is refused with a wrong password, and made with the right one', async () => {
    const { endpoint, link, relay, reader, log, access } = await start('fanout', new PointStub());
    link.update(endpoint, 'wrong');
    access.dismiss(relay);
    await eventually(() => log.entries.some(({ fields }) => /403 ACCESS_REFUSED/.test(String(fields.cause))));
    expect(reader.state).toBe('down');
    link.update(endpoint, passwordOf(relay));
    await linked(reader);
  });

  it('takes in 100,000 messages, and the test says how fast', async () => {
    const point = new PointStub(EVERYTHING);
    let received = 0;
    point.receive = () => {
      received++;
    };
    const { outlet } = await start('fanout', point);
    const message = outgoing('stock.nyse.ibm', Buffer.alloc(100));
    const startMs = performance.now();
    for (let count = 0; count < 100_000; count++) {
      const pause = outlet.publish(message);
      if (pause !== undefined) await pause;
      else if (count % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => received === 100_000);
    const perSecond = Math.round(100_000_000 / (performance.now() - startMs));
    process.stdout.write(`    ${perSecond} msg/s of 100 octets, both sides in one process\n`);
    expect(received).toBe(100_000);
  });
});
