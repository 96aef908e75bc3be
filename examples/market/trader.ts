import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { connect } from 'amqplib';
import type { Ledger } from './ledger.js';

/** What this company's node calls the market's two points. */
export interface Aliases {
  readonly bids: string;
  readonly mailbox: string;
}

/**
 * One company's app. It is an ordinary amqplib program that knows one broker, its own node, and two exchanges there.
 *
 * Trading: a bid is published to the point `bids` under a topic, and names the secret routing key of the bidder's
 * mailbox. Whoever watches that topic sends an offer to the mailbox, and the bidder answers with a deal.
 */
export class Trader {
  readonly name: string;
  deals = 0;
  readonly #connection: ChannelModel;
  readonly #channel: Channel;
  readonly #aliases: Aliases;
  readonly #ledger: Ledger;
  /** Nobody can bind to a direct point without knowing the key: the mailbox is private. */
  readonly #mailboxKey = randomUUID();
  #bids = '';

  private constructor(
    name: string,
    connection: ChannelModel,
    channel: Channel,
    aliases: Aliases,
    ledger: Ledger,
  ) {
    this.name = name;
    this.#connection = connection;
    this.#channel = channel;
    this.#aliases = aliases;
    this.#ledger = ledger;
  }

  static async connect(name: string, amqpUrl: string, aliases: Aliases, ledger: Ledger): Promise<Trader> {
    const connection = await connect(amqpUrl);
    return new Trader(name, connection, await connection.createChannel(), aliases, ledger);
  }

  /** Where other nodes reach this trader's node, as the node tells every app in `connection.start`. */
  get overlayAddresses(): readonly string[] {
    return overlayAddressesOf(this.#connection);
  }

  /** Declares the two aliases. `type` and `spell` show that both spellings of the arguments mean the same. */
  async join(
    type: 'x-exchange' | 'x-exchange-point',
    spell: (point: string, pointType: 'topic' | 'direct') => Record<string, unknown>,
  ): Promise<void> {
    await this.#channel.assertExchange(this.#aliases.bids, type, { arguments: spell('bids', 'topic') });
    await this.#channel.assertExchange(this.#aliases.mailbox, type, {
      arguments: spell('mailbox', 'direct'),
    });
    const mailbox = await this.#channel.assertQueue('', { exclusive: true });
    await this.#channel.bindQueue(mailbox.queue, this.#aliases.mailbox, this.#mailboxKey);
    await this.#channel.consume(mailbox.queue, (message) => this.#take(message), { noAck: true });
    this.#bids = (await this.#channel.assertQueue('', { exclusive: true })).queue;
    await this.#channel.consume(this.#bids, (message) => this.#take(message), { noAck: true });
  }

  /** What the node answers where it refuses to join. The channel is closed by it: this trader is of no further use. */
  async refusal(
    type: 'x-exchange' | 'x-exchange-point',
    args: Record<string, unknown>,
  ): Promise<{ readonly code: number; readonly text: string } | undefined> {
    this.#channel.on('error', () => undefined);
    try {
      await this.#channel.assertExchange(this.#aliases.bids, type, { arguments: args });
      return undefined;
    } catch (error) {
      const { code, message } = error as Error & { code?: number };
      return { code: code ?? 0, text: message.replace(/^.*with message "(.*)"$/, '$1') };
    } finally {
      await this.#connection.close();
    }
  }

  async watch(...patterns: string[]): Promise<void> {
    for (const pattern of patterns) await this.#channel.bindQueue(this.#bids, this.#aliases.bids, pattern);
  }

  bid(topic: string, watchers: readonly Trader[]): void {
    const recipients = watchers.map((watcher) => watcher.name);
    this.#publish(this.#aliases.bids, topic, 'bid', recipients, { replyTo: this.#mailboxKey });
  }

  /** Announces the end, under a topic that everybody watches. */
  closing(everybody: readonly Trader[]): void {
    const recipients = everybody.map((trader) => trader.name);
    this.#publish(this.#aliases.bids, `closing.${this.name}`, 'closing', recipients, {});
  }

  async leave(): Promise<void> {
    await this.#connection.close();
  }

  #take(message: ConsumeMessage | null): void {
    if (message === null) throw new Error(`${this.name}: the node cancelled a consumer`);
    const { type, appId, replyTo, messageId, correlationId } = message.properties;
    // Answers are sent before the message is booked as received: the ledger is settled when nothing is under way.
    if (type === 'bid' && appId !== this.name) this.#mail(appId, replyTo, 'offer', messageId);
    if (type === 'offer') this.#mail(appId, replyTo, 'deal', correlationId);
    if (type === 'deal') this.deals += 1;
    this.#ledger.received(messageId, this.name);
  }

  #mail(recipient: string, mailboxKey: string, type: string, correlationId: string): void {
    const options = { replyTo: this.#mailboxKey, correlationId };
    this.#publish(this.#aliases.mailbox, mailboxKey, type, [recipient], options);
  }

  #publish(
    exchange: string,
    routingKey: string,
    type: string,
    recipients: readonly string[],
    options: { replyTo?: string; correlationId?: string },
  ): void {
    const messageId = `${type} ${randomUUID()} from ${this.name}`;
    this.#ledger.sent(messageId, recipients);
    const body = Buffer.from(`${type} from ${this.name}`);
    this.#channel.publish(exchange, routingKey, body, { ...options, type, messageId, appId: this.name });
  }
}

export function overlayAddressesOf(connection: ChannelModel): readonly string[] {
  const addresses: unknown = connection.connection.serverProperties.overlay_addresses;
  if (!Array.isArray(addresses))
    throw new Error('this broker is no xspace node: it names no overlay addresses');
  return addresses;
}
