import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Channel } from 'amqplib';
import { connect } from 'amqplib';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { RabbitmqProcess } from '../support/rabbitmq-process.js';
import { pointArguments, spaceArguments } from '../support/space-arguments.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { PYTHON, requireTools } from '../support/tools.js';
import { openChannel, refusalOf } from './amqplib-support.js';
import type { BasicProperties, Client, ReceivedMessage, SentMessage } from './clients/index.js';
import { amqplib, pika } from './clients/index.js';

const run = promisify(execFile);

const OUTLETS = 'outlets';
const ROUTING_KEYS = ['eu.bid', 'eu.ask', 'us.bid', 'us.ask', 'nobody'];
const ROUNDS = 40;

const properties: BasicProperties = {
  contentType: 'application/json',
  contentEncoding: 'identity',
  headers: { text: 'grün', number: 7, yes: true, nothing: null, table: { inner: [1, 'two', { three: 3 }] } },
  deliveryMode: 2,
  priority: 9,
  correlationId: 'correlation',
  replyTo: 'somewhere',
  expiration: '3600000',
  messageId: 'message-1',
  timestamp: 1_234_567_890,
  type: 'greeting',
  userId: 'guest',
  appId: 'interop',
};

/** An app at one of the brokers. */
interface App {
  readonly name: string;
  readonly client: Client;
  /** Where it publishes to the point. */
  readonly entrance: string;
  readonly patterns: readonly string[];
  /** Those of {@link ROUTING_KEYS} that the patterns match. */
  readonly keys: readonly string[];
}

/** What pika/stock_member.py prints. */
interface Happening {
  readonly event: string;
  readonly member?: string;
  readonly peer?: string;
  readonly keys?: readonly string[];
}

interface Named {
  readonly name: string;
}

interface Participant {
  readonly member: string;
  readonly endpoint: { readonly host: string; readonly port: number; readonly virtualHost: string };
  readonly password: string;
  readonly outlet: { readonly number: number; readonly exchange: string; readonly everything: string };
}

let holder: NodeProcess;
let other: NodeProcess;
let rabbitmq: RabbitmqProcess;
let managementPort: number;
let stock: ChildProcess;
const happenings: Happening[] = [];

/** What RabbitMQ's HTTP API answers, to its administrator unless told otherwise. */
async function ask<Body>(path: string, login = 'guest:guest') {
  const headers = { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  const answer = await fetch(`http://127.0.0.1:${managementPort}/api/${path}`, { headers });
  return { status: answer.status, body: (await answer.json()) as Body };
}

/** Routing keys that are bound to the stock member's outlet. */
async function boundAtOutlet(): Promise<readonly string[]> {
  const path = `exchanges/${OUTLETS}/${stockId()}.x.0/bindings/source`;
  const { body } = await ask<readonly { readonly routing_key: string }[]>(path);
  return body.map(({ routing_key }) => routing_key).sort();
}

function stockId(): string {
  return happenings.find(({ event }) => event === 'registered')?.member ?? '';
}

/** What the stock member's relays have bound at the other members, the newest of each. */
function boundByStock(): readonly (readonly string[])[] {
  const reading = happenings.filter(({ event }) => event === 'reading');
  return [...new Map(reading.map(({ peer, keys = [] }) => [peer, keys])).values()];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The node that holds the space `market`; the stock member's user there may do what the protocol asks for. */
async function startHolder(): Promise<NodeProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'xspace-stock-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
  const xspace = (...args: string[]) =>
    run(process.execPath, [join(projectRoot, 'dist/cli.js'), ...args, '--data-dir', dataDir]);
  await xspace('user', 'add', 'stock', '--password', 'secret');
  const patterns = ['--configure', '^$', '--write', '^market$', '--read', '^market$'];
  await xspace('permission', 'set', 'stock', '--vhost', '/', ...patterns);
  return startNode({ name: 'holder', flags: ['--data-dir', dataDir] });
}

async function startRabbitmq(): Promise<RabbitmqProcess> {
  managementPort = await freePort();
  const settings = [`management.tcp.port = ${managementPort}`, 'management.tcp.ip = 127.0.0.1'];
  const started = await RabbitmqProcess.start({ plugins: ['rabbitmq_management'], settings });
  teardown(() => started.kill());
  return started;
}

function startStockMember(): ChildProcess {
  const script = join(projectRoot, 'test/interop/pika/stock_member.py');
  const space = ['--tracker', `amqp://stock:secret@${holder.host}:${holder.port}`, '--space', 'market'];
  const broker = ['--broker', rabbitmq.amqpUrl, '--api', `http://127.0.0.1:${managementPort}`];
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const member = spawn(PYTHON, [script, ...space, ...broker, '--outlets', OUTLETS, 'bids:topic'], { env });
  member.stderr.pipe(process.stderr);
  createInterface({ input: member.stdout }).on('line', (line) => happenings.push(JSON.parse(line)));
  return member;
}

requireTools('rabbitmq', 'pika')('a member whose broker is a stock RabbitMQ', () => {
  let apps: readonly App[];

  beforeAll(async () => {
    [holder, other, rabbitmq] = await Promise.all([
      startHolder(),
      startNode({ name: 'other' }),
      startRabbitmq(),
    ]);
    const [atHolder, atOther, atRabbitmq] = await Promise.all([
      amqplib.connect(holder.amqpUrl),
      amqplib.connect(other.amqpUrl),
      pika.connect(rabbitmq.amqpUrl),
    ]);
    for (const client of [atHolder, atOther, atRabbitmq]) teardown(() => client.close());
    await atHolder.declareExchange('market', 'x-exchangespace', spaceArguments('prototype'));
    const bids = pointArguments('market', holder, 'bids', 'topic', 'prototype');
    await atHolder.declareExchange('bids', 'x-exchange', bids);
    // It comes to a member that is there, and there is one that comes to it.
    stock = startStockMember();
    teardown(() => stock.kill('SIGKILL'));
    await eventually(() => expect(stockId()).not.toBe(''));
    await atOther.declareExchange('bids', 'x-exchange', bids);
    const nodes = { entrance: 'bids' };
    apps = [
      { name: 'holder', client: atHolder, ...nodes, patterns: ['eu.#', 'end.#'], keys: ['eu.bid', 'eu.ask'] },
      { name: 'other', client: atOther, ...nodes, patterns: ['*.ask', 'end.#'], keys: ['eu.ask', 'us.ask'] },
      {
        name: 'rabbitmq',
        client: atRabbitmq,
        entrance: 'bids.publish',
        patterns: ['eu.bid', 'end.#'],
        keys: ['eu.bid'],
      },
    ];
  });

  it('gets from the others, and they from it, what is bound for: once, in order and as it was published', async () => {
    const inboxes = await Promise.all(apps.map(({ client, patterns }) => client.subscribe('bids', patterns)));
    const wantedByNodes = ['*.ask', 'end.#', 'end.#', 'eu.#'];
    await eventually(async () => expect(await boundAtOutlet()).toEqual(wantedByNodes));
    const wantedByStock = ['end.#', 'eu.bid'];
    await eventually(() => expect(boundByStock()).toEqual([wantedByStock, wantedByStock]));

    await Promise.all(apps.map(({ client, entrance, name }) => client.publish(entrance, messagesOf(name))));
    await Promise.all(inboxes.map((inbox) => inbox.until((received) => endsIn(received, 'end.1') === 3)));
    // What somebody has sent back comes before what it publishes now.
    for (const { client, entrance, name } of apps) await client.publish(entrance, [end(name, 'end.2')]);
    const isOver = (received: readonly ReceivedMessage[]) => endsIn(received, 'end.2') === 3;
    const received = await Promise.all(inboxes.map((inbox) => inbox.until(isOver)));

    for (const [index, receiver] of apps.entries()) {
      for (const { name } of apps) expectExactly(received[index] ?? [], receiver, name);
    }
  });

  it('has interest of apps of the nodes as bindings of its outlet, for as long as it lasts', async () => {
    const before = await boundAtOutlet();
    const channel = await openChannel(other);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const args = { 'x-from': 'other' };
    await channel.bindQueue(queue, 'bids', 'late.*', args);
    // bind-ok waits for it.
    expect(await boundAtOutlet()).toEqual([...before, 'late.*'].sort());
    await channel.unbindQueue(queue, 'bids', 'late.*', args);
    await eventually(async () => expect(await boundAtOutlet()).toEqual(before));
  });

  it('opens its outlet to those who share a point, and nothing else of its RabbitMQ', async () => {
    const relay = await joinByHand();
    const { exchange, everything } = relay.outlet;
    const refused = async (attempt: (channel: Channel) => unknown) => {
      const { scope, code, text } = await refusalOf(relay.url, attempt);
      expect(text).toMatch(/refused for user/);
      return `${scope} ${code}`;
    };
    const attempts: ((channel: Channel) => unknown)[] = [
      (channel) => channel.publish(exchange, 'eu.bid', Buffer.from('forged')),
      (channel) => channel.publish(everything, '', Buffer.from('forged')),
      (channel) => channel.publish('', 'some queue', Buffer.from('forged')),
      (channel) => channel.deleteExchange(exchange),
      (channel) => channel.assertExchange('mine', 'topic'),
      (channel) => channel.assertQueue('mine'),
      (channel) => channel.assertQueue('', { exclusive: true }),
      (channel) => channel.assertQueue(`${relay.user}.0.q`, { deadLetterExchange: exchange }),
      (channel) => channel.assertQueue(`${relay.user}.0.q`, { arguments: { 'x-dead-letter-exchange': '' } }),
      (channel) => channel.consume(relay.queueOfAnother, () => {}),
      (channel) => channel.unbindQueue(relay.queueOfAnother, exchange, 'eu.#'),
      async (channel) => {
        await channel.assertQueue(`${relay.user}.0.q`, { exclusive: true });
        await channel.bindQueue(`${relay.user}.0.q`, 'amq.topic', '#');
      },
    ];
    for (const attempt of attempts) expect(await refused(attempt)).toBe('channel 403');
    await expect(connect(relay.url.replace(/[^/]*$/, '%2F'))).rejects.toThrow('ConnectionClose');
    expect((await ask('whoami', `${relay.user}:${relay.password}`)).status).toBe(401);
  });

  it('bounds what RabbitMQ cannot be told to refuse to relays', async () => {
    const relay = await joinByHand();
    const connection = await connect(relay.url);
    teardown(() => connection.close());
    const channel = await connection.createChannel();
    const queue = `${relay.user}.0.stays`;
    // What permissions cannot tell from what relays need.
    await channel.assertQueue(queue, { durable: true });
    await channel.bindQueue(queue, relay.outlet.everything, '');
    await channel.assertExchange(`${relay.user}.mine`, 'topic');
    await channel.checkExchange('amq.topic');
    await eventually(async () => {
      const { body } = await ask<{ effective_policy_definition: object }>(`queues/${OUTLETS}/${queue}`);
      expect(body.effective_policy_definition).toEqual({ 'max-length-bytes': 33_554_432, expires: 30_000 });
    });
    const connections = async () => {
      for (let count = 1; ; count++) {
        const another = await connect(relay.url).catch(() => undefined);
        if (another === undefined || count > 10) return count;
        teardown(() => another.close());
      }
    };
    expect(await connections()).toBe(4);
  });

  it('takes its own place at once when it is started again after a crash', async () => {
    const id = stockId();
    const inboxes = await Promise.all(apps.map(({ client }) => client.subscribe('bids', ['again'])));
    stock.kill('SIGKILL');
    await once(stock, 'exit');
    happenings.length = 0;
    stock = startStockMember();
    await eventually(() => {
      expect(boundByStock()).toHaveLength(2);
      for (const keys of boundByStock()) expect(keys).toContain('again');
    });
    await eventually(async () => {
      expect((await boundAtOutlet()).filter((key) => key === 'again')).toHaveLength(2);
    });

    for (const { client, entrance, name } of apps) await client.publish(entrance, [end(name, 'again')]);
    for (const inbox of inboxes) await inbox.until((received) => received.length === 3);
    const gone = `"event":"gone","member":"${id}","reason":"another member of user 'stock'`;
    for (const node of [holder, other]) expect(node.logs.join()).toContain(gone);
  });

  it('is forgotten by the others when it leaves, and leaves nothing at its RabbitMQ', async () => {
    const id = stockId();
    stock.kill('SIGTERM');
    if (stock.exitCode === null) await once(stock, 'exit');
    expect(stock.exitCode).toBe(0);

    const gone = `"event":"gone","member":"${id}","reason":"it has left the space"`;
    for (const node of [holder, other]) await eventually(() => expect(node.logs.join()).toContain(gone));
    expect((await ask<readonly Named[]>('users')).body.map(({ name }) => name)).toEqual(['guest']);
    expect((await ask(`vhosts/${OUTLETS}`)).status).toBe(404);
    await eventually(async () => {
      const { body } = await ask<readonly { readonly user: string }[]>('connections');
      expect(body.filter(({ user }) => user.startsWith(id))).toEqual([]);
    });
  });
});

function messagesOf(name: string): readonly SentMessage[] {
  const messages = Array.from({ length: ROUNDS * ROUTING_KEYS.length }, (_, index) => ({
    routingKey: ROUTING_KEYS[index % ROUTING_KEYS.length] ?? '',
    body: `${name} ${index}`,
    properties,
  }));
  return [...messages, end(name, 'end.1')];
}

function end(name: string, routingKey: string): SentMessage {
  return { routingKey, body: `${name} ${routingKey}`, properties };
}

function endsIn(received: readonly ReceivedMessage[], routingKey: string): number {
  return received.filter((message) => message.routingKey === routingKey).length;
}

/** All that `sender` has published and `receiver` wants, and nothing else of it. */
function expectExactly(received: readonly ReceivedMessage[], receiver: App, sender: string): void {
  const { userId, ...travelling } = properties;
  const isOwn = sender === receiver.name;
  const keys = [...receiver.keys, 'end.1', 'end.2'];
  const wanted = [...messagesOf(sender), end(sender, 'end.2')].filter((sent) =>
    keys.includes(sent.routingKey),
  );
  const expected = wanted.map(({ routingKey, body }) => ({
    exchange: isOwn && receiver.entrance !== 'bids' ? receiver.entrance : 'bids',
    routingKey,
    body,
    properties: expect.objectContaining(travelling),
  }));
  const got = received.filter(({ body }) => body.startsWith(`${sender} `));
  expect(got).toEqual(expected);
  for (const message of got) expect(message.properties.userId).toBe(isOwn ? userId : undefined);
}

/** A member of the space that speaks the protocol itself, and what its relay needs at the stock member's RabbitMQ. */
async function joinByHand() {
  const member = stockId().replaceAll(/./g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16));
  const channel = await openChannel(holder);
  const reply = new Promise<string>((resolve) => {
    const taken = channel.consume('amq.rabbitmq.reply-to', (message) => resolve(`${message?.content}`), {
      noAck: true,
    });
    taken.catch(() => {});
  });
  const outlet = { number: 0, exchange: 'e', everything: 'f' };
  const request = {
    version: 1,
    request: 'register',
    member,
    sequence: Date.now(),
    endpoint: { host: '127.0.0.1', port: 1, tls: false, virtualHost: 'none' },
    relayKey: member + member,
    points: [{ name: 'bids', type: 'topic', arguments: '{}', outlet }],
  };
  const options = { mandatory: true, userId: 'guest', replyTo: 'amq.rabbitmq.reply-to', correlationId: '1' };
  channel.publish('market', 'tracker', Buffer.from(JSON.stringify(request)), options);
  const participants: readonly Participant[] = JSON.parse(await reply).points[0].participants;
  const found = participants.find((participant) => participant.member === stockId());
  if (found === undefined) throw new Error('the stock member is not in the space');
  const { endpoint, password } = found;
  const user = `${found.member}.${member}`;
  const url = `amqp://${user}:${password}@${endpoint.host}:${endpoint.port}/${endpoint.virtualHost}`;
  await eventually(async () => (await connect(url)).close());
  const { body } = await ask<readonly Named[]>(`queues/${OUTLETS}`);
  const queueOfAnother = body.find(({ name }) => !name.startsWith(user))?.name ?? '';
  return { user, password, url, outlet: found.outlet, queueOfAnother };
}
