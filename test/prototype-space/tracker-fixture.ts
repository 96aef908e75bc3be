import type { Channel, Options } from 'amqplib';
import { connect } from 'amqplib';
import type { HomeBroker, Permits } from '../../src/prototype-space/home-broker.js';
import { encodeMessage, parseEvent, parseReply } from '../../src/prototype-space/parse-messages.js';
import type { TrackerEvent, TrackerReply, TrackerRequest } from '../../src/prototype-space/protocol.js';
import { TRACKER_KEY } from '../../src/prototype-space/protocol.js';
import { Tracker } from '../../src/prototype-space/tracker.js';
import type { TestGateway } from '../support/amqp-gateway.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import type { Ask } from './tracker-messages.js';
import { hex } from './tracker-messages.js';

export const SPACE = 'market';
const REPLY_TO = 'amq.rabbitmq.reply-to';
const PASSWORD = 'secret';

/** The broker of a tracker, and who may be in its space. */
export class Home {
  readonly permits = new Map<string, Permits>();
  readonly log: string[] = [];
  readonly node: TestGateway;
  nowMs = 1_000_000;

  constructor(node: TestGateway) {
    this.node = node;
  }

  async tracker(options: { durable?: boolean } = {}): Promise<Tracker> {
    const tracker = this.create(options);
    await tracker.open();
    return tracker;
  }

  create(options: { durable?: boolean } = {}): Tracker {
    const at = (level: string) => (fields: object, text: string) => {
      this.log.push(`${level} ${text} ${JSON.stringify(fields)}`);
    };
    const home: HomeBroker = {
      admitTracker: async (virtualHost) => ({
        host: '127.0.0.1',
        port: this.node.port,
        tls: false,
        virtualHost,
        username: 'guest',
        password: 'guest',
      }),
      permits: (user, virtualHost, exchange) => {
        const permitted = virtualHost === '/' && exchange === SPACE;
        const all = { configure: false, write: permitted, read: permitted };
        return this.permits.get(user) ?? all;
      },
      openRelayAccess: async () => {
        throw new Error('of no interest to the tracker');
      },
    };
    const tracker = new Tracker({
      space: SPACE,
      virtualHost: '/',
      durable: options.durable ?? false,
      home,
      logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      now: () => this.nowMs,
      random: () => 0,
    });
    teardown(() => tracker.close());
    return tracker;
  }

  /** A user that may write to and read from the space's exchange, and nothing else. */
  async user(name: string): Promise<void> {
    const patterns = { configure: '^$', write: `^${SPACE}$`, read: `^${SPACE}$` };
    await this.node.broker.users.add(name, PASSWORD, []);
    this.node.broker.setPermissions(name, '/', patterns);
  }

  async member(digits: string, user: string): Promise<TestMember> {
    const password = user === 'guest' ? 'guest' : PASSWORD;
    const { port } = this.node;
    const connection = await connect(
      { hostname: '127.0.0.1', port, username: user, password },
      { noDelay: true },
    );
    connection.on('error', () => {});
    teardown(() => connection.close().catch(() => {}));
    return TestMember.open(await connection.createChannel(), hex(digits), user);
  }
}

/** Properties of a message; undefined takes one away that requests have. */
type Properties = { readonly [Name in keyof Options.Publish]: Options.Publish[Name] | undefined };

/** What a member is on the wire: requests, their answers, and events. */
export class TestMember {
  readonly id: string;
  readonly channel: Channel;
  readonly events: TrackerEvent[] = [];
  readonly #user: string;
  readonly #waiting = new Map<string, (reply: TrackerReply) => void>();
  sequence = 0;

  private constructor(channel: Channel, id: string, user: string) {
    this.channel = channel;
    this.id = id;
    this.#user = user;
    channel.on('error', () => {});
    channel.on('return', ({ properties }) => {
      this.#settle(properties.correlationId, { reply: 'error', code: 'invalid', text: 'returned' });
    });
  }

  static async open(channel: Channel, id: string, user: string): Promise<TestMember> {
    const member = new TestMember(channel, id, user);
    const take = { noAck: true };
    await channel.consume(
      REPLY_TO,
      (message) => {
        if (message === null) return;
        const { correlationId } = message.properties;
        if (correlationId === undefined) member.events.push(parseEvent(message.content));
        else member.#settle(correlationId, parseReply(message.content));
      },
      take,
    );
    return member;
  }

  ask(ask: Ask): Promise<TrackerReply> {
    this.sequence += 1;
    return this.send(encodeMessage({ ...ask, member: this.id, sequence: this.sequence } as TrackerRequest));
  }

  /** Resolves with the answer to any octets. */
  send(body: Buffer): Promise<TrackerReply> {
    const correlationId = `${this.id}.${this.#waiting.size}.${this.sequence}`;
    return new Promise((resolve) => {
      this.#waiting.set(correlationId, resolve);
      this.publish(body, { correlationId });
    });
  }

  /** False: better wait until the channel drains. */
  publish(body: Buffer, options: Properties = {}): boolean {
    const properties = {
      mandatory: true,
      userId: this.#user,
      replyTo: REPLY_TO,
      ...options,
    } as Options.Publish;
    return this.channel.publish(SPACE, TRACKER_KEY, body, properties);
  }

  /** Waits for the next event. */
  async told(): Promise<TrackerEvent> {
    await eventually(() => this.events.length > 0);
    return this.events.shift() as TrackerEvent;
  }

  #settle(correlationId: string, reply: TrackerReply): void {
    this.#waiting.get(correlationId)?.(reply);
    this.#waiting.delete(correlationId);
  }
}
