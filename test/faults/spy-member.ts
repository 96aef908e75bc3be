import { randomBytes, randomUUID } from 'node:crypto';
import type { Channel, ConsumeMessage } from 'amqplib';
import { connect } from 'amqplib';
import type { NodeProcess } from '../support/node-process.js';
import { teardown } from '../support/teardown.js';

/** Another member of a point, as the tracker tells of it. */
interface ParticipantRecord {
  readonly member: string;
  readonly endpoint: { readonly host: string; readonly port: number; readonly virtualHost: string };
  readonly password: string;
}

const REPLY_TO = 'amq.rabbitmq.reply-to';
const SPACE = 'market';

let spies = 0;

/** A member that is no node: an AMQP application that speaks the protocol of docs/prototype-protocol.md. */
export class SpyMember {
  /** That the tracker has told since, of whomever. */
  readonly passwords: string[] = [];
  readonly #id = randomBytes(16).toString('hex');
  readonly #channel: Channel;
  readonly #waiting = new Map<string, (reply: Record<string, unknown>) => void>();
  #sequence = 0;

  private constructor(channel: Channel) {
    this.#channel = channel;
  }

  static async connect(tracker: NodeProcess): Promise<SpyMember> {
    const connection = await connect(tracker.amqpUrl);
    connection.on('error', () => undefined); // the node is killed after the test
    teardown(() => connection.close().catch(() => undefined));
    const channel = await connection.createChannel();
    const member = new SpyMember(channel);
    await channel.consume(REPLY_TO, (message) => message && member.#received(message), { noAck: true });
    spies += 1; // two members of one user are not at the same place
    const endpoint = { host: '127.0.0.1', port: spies, tls: false, virtualHost: 'nowhere' };
    await member.#ask({
      request: 'register',
      endpoint,
      relayKey: randomBytes(32).toString('hex'),
      points: [],
    });
    return member;
  }

  /** Joins a topic point; the first of those who are there. */
  async join(point: string): Promise<ParticipantRecord> {
    const outlet = { number: 1, exchange: 'none', everything: 'none at all' };
    const reply = await this.#ask({
      request: 'join',
      point: { name: point, type: 'topic', arguments: '{}', outlet },
    });
    const [{ participants }] = reply.points as [{ participants: ParticipantRecord[] }];
    const others = participants.filter(({ endpoint }) => endpoint.virtualHost !== 'nowhere');
    const [first] = others;
    if (first === undefined) throw new Error('nobody is in the point');
    return first;
  }

  async leave(): Promise<void> {
    await this.#ask({ request: 'unregister' });
  }

  /** As the relay of this member, where the record says. */
  async logIn({ member, endpoint, password }: ParticipantRecord): Promise<void> {
    const { host, port, virtualHost } = endpoint;
    const username = `${member}.${this.#id}`;
    const vhost = encodeURIComponent(virtualHost);
    const connection = await connect({ hostname: host, port, username, password, vhost });
    await connection.close();
  }

  #ask(request: object): Promise<Record<string, unknown>> {
    const correlationId = randomUUID();
    this.#sequence += 1;
    const message = { version: 1, member: this.#id, sequence: this.#sequence, ...request };
    const replied = new Promise<Record<string, unknown>>((resolve) => {
      this.#waiting.set(correlationId, resolve);
    });
    const properties = { userId: 'guest', replyTo: REPLY_TO, correlationId };
    this.#channel.publish(SPACE, 'tracker', Buffer.from(JSON.stringify(message)), properties);
    return replied;
  }

  #received({ content, properties }: ConsumeMessage): void {
    const message = JSON.parse(content.toString());
    this.#waiting.get(properties.correlationId)?.(message);
    if (message.event === 'password') this.passwords.push(message.password);
  }
}
