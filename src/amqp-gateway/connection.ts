import type { Socket } from 'node:net';
import {
  CONNECTION_CLOSE_ID,
  CONNECTION_CLOSE_OK_ID,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  HEARTBEAT_FRAME,
  methodFrame,
} from '../amqp-codec/index.js';
import type { Authorization, GroupCommit, MemoryAccount, VirtualHost } from '../broker/index.js';
import type { Logger } from '../overlay/index.js';
import type { AliasHandler } from './alias-handler.js';
import { Channel } from './channel.js';
import type { ClientReceiver } from './client-stream.js';
import type { Confirms } from './confirms.js';
import type { Reading } from './content-assembly.js';
import { destroyLater } from './destroy-later.js';
import type { DirectReplies } from './direct-reply-to.js';
import type { FlushTurn } from './flush-turn.js';
import { misplacedFrame, readMethod } from './frame-errors.js';
import type { Session } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import { Intake } from './intake.js';
import { handleOnConnection } from './methods.js';
import type { OutputOwner } from './output.js';
import { Output } from './output.js';
import { ChannelError, ConnectionError, failureOf } from './reply-code.js';

/** What connections share. */
export interface Services {
  readonly memory: MemoryAccount;
  /** Of what apps publish. */
  readonly maxBodyBytes: number;
  readonly logger: Logger;
  readonly aliases: AliasHandler | undefined;
  readonly replies: DirectReplies;
  readonly turn: FlushTurn;
  /** How durable messages get to the disk, and the channels that wait for it. */
  readonly commit: GroupCommit | undefined;
  readonly unsynced: Set<Confirms>;
  /** What the node has too little of, in the words of connection.blocked; undefined: nothing. */
  readonly shortage: () => string | undefined;
  readonly counters: { published: number; delivered: number };
}

/**
 * One client, from the end of the handshake to the end of its socket.
 *
 *     open ──▶ closing (this side closed it: everything but the client's close-ok is discarded) ──▶ ended
 *       ├────▶ leaving (the client closed it: what it asked for before is still being done)
 *       │        └────▶ closed (that is done and the client knows: closing the socket is up to it) ──▶
 *       └──────(the client has gone)─────────────────────────────────────────────────────────────────▶
 */
export class Connection implements ClientReceiver, OutputOwner {
  readonly session: Session;
  readonly services: Services;
  readonly reading: Reading;
  readonly output: Output;
  readonly intake: Intake;
  readonly #socket: Socket;
  readonly #client: string;
  readonly #channels = new Map<number, Channel>();
  readonly #heartbeatTimer: NodeJS.Timeout | undefined;
  #state: 'open' | 'leaving' | 'closed' | 'closing' | 'ended' = 'open';
  /** Only those who publish are held up when the node runs short of something. */
  #publisher: 'never' | 'free' | 'blocked' = 'never';
  /** Channels with publications to confirm at the end of this turn. */
  #confirming: Confirms[] = [];
  #methodId = 0;

  constructor(socket: Socket, reading: Reading, session: Session, services: Services) {
    this.session = session;
    this.services = services;
    this.reading = reading;
    this.output = new Output(socket, session.maxFrameBytes, services.turn, services.memory, this);
    this.intake = new Intake(socket);
    this.#socket = socket;
    this.#client = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#heartbeatTimer = this.#beat(session.heartbeatSeconds);
    socket.once('close', () => this.#socketClosed());
  }

  get virtualHost(): VirtualHost {
    return this.session.virtualHost;
  }

  get authorization(): Authorization {
    return this.session.authorization;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  frame(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (this.#state !== 'open') {
      this.#discard(type, number, bytes, start, end);
      return;
    }
    this.handle(type, number, bytes, start, end);
  }

  /** A frame whose turn has come, from the socket or from those that were held back. */
  handle(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (this.#state === 'closing' || this.#state === 'ended') return;
    const channel = this.#channels.get(number);
    try {
      if (channel !== undefined) channel.frame(type, bytes, start, end);
      else if (number === 0) this.#control(type, bytes, start, end);
      else this.#openChannel(type, number, bytes, start, end);
    } catch (error) {
      this.failed(error, channel);
    }
  }

  malformed(error: unknown): void {
    this.#methodId = 0;
    this.failed(error, undefined);
    this.output.end();
  }

  ended(): void {
    if (this.#state !== 'ended') this.#leave();
  }

  /** Closes the channel or the connection, whichever the error asks for. */
  failed(error: unknown, channel: Channel | undefined): void {
    const failure = failureOf(error);
    const { logger } = this.services;
    const where = { client: this.#client, channel: channel?.number };
    if (failure instanceof ChannelError) {
      logger.info(where, `channel closed: ${failure.message}`);
      channel?.fail(failure);
      return;
    }
    if (failure.condition === 'internal-error')
      logger.error({ ...where, err: failure.cause }, failure.message);
    else logger.warn(where, `connection closed: ${failure.message}`);
    this.close(failure, failure.methodId ?? channel?.methodId ?? this.#methodId);
  }

  /** AMQP 0-9-1 §1.4.2.9: closes the connection for a reason. `methodId`: class and method that gave it, if any. */
  close(error: ConnectionError, methodId = 0): void {
    if (this.#state === 'closed') this.#leave();
    if (this.#state === 'closing' || this.#state === 'ended') return;
    this.#state = 'closing';
    this.#release();
    const cause = { classId: methodId >>> 16, methodId: methodId & 0xffff };
    this.output.frame(methodFrame(0, 'connection.close', { ...error.reply, ...cause }));
    this.intake.drain();
    destroyLater(this.#socket);
  }

  /** The client closes the connection: it is told so when everything that it sent before has been done. */
  closedByClient(): void {
    this.#state = 'leaving';
    this.channelSettled();
  }

  /** A channel has nothing to wait for any more. */
  channelSettled(): void {
    if (this.#state !== 'leaving' || [...this.#channels.values()].some((channel) => channel.isWaiting))
      return;
    this.#confirmClose();
  }

  /** The channel is closed on both sides; its number is free again. */
  forget(channel: Channel): void {
    this.#channels.delete(channel.number);
  }

  /** A message is being published on one of the channels. */
  publishes(): void {
    if (this.#publisher !== 'never') return;
    this.#publisher = 'free';
    this.shortageChanged(this.services.shortage());
  }

  confirmsSoon(confirms: Confirms): void {
    this.#confirming.push(confirms);
    this.output.touch();
  }

  /** The node has run short of something, or of nothing any more. Consumers go on either way: they are what frees it. */
  shortageChanged(shortage: string | undefined): void {
    if (this.#publisher !== (shortage === undefined ? 'blocked' : 'free') || this.#state !== 'open') return;
    this.#publisher = shortage === undefined ? 'free' : 'blocked';
    if (shortage === undefined) this.intake.resume(this.services);
    else this.intake.pause(this.services);
    if (!this.session.capabilities.has('connection.blocked')) return;
    if (shortage === undefined) this.output.frame(methodFrame(0, 'connection.unblocked', {}));
    else this.output.frame(methodFrame(0, 'connection.blocked', { reason: `low on ${shortage}` }));
  }

  flushing(): void {
    if (this.#confirming.length === 0) return;
    for (const confirms of this.#confirming) confirms.confirm();
    this.#confirming = [];
  }

  overloaded(): void {
    this.intake.pause(this.output);
  }

  relieved(): void {
    this.intake.resume(this.output);
    for (const channel of this.#channels.values()) channel.deliveries.wakeAll();
  }

  #control(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === FRAME_HEARTBEAT && start === end) return;
    // AMQP 0-9-1 §4.2.6: content is on channels only.
    if (type !== FRAME_METHOD) throw misplacedFrame(type, bytes, start, end);
    this.#methodId = readMethodId(bytes, start, end);
    handleOnConnection(this, readMethod(bytes, start, end));
  }

  #openChannel(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    const { maxChannels } = this.session;
    const count = this.#channels.size;
    if (count >= maxChannels) {
      // As in RabbitMQ, it is the number of channels that is limited, and not their numbers.
      const limit = `the negotiated channel_max (${maxChannels})`;
      const text = `number of channels opened (${count}) has reached ${limit}`;
      throw new ConnectionError('not-allowed', text, { methodId: 0 });
    }
    if (type !== FRAME_METHOD) {
      throw misplacedFrame(type, bytes, start, end, 'expected method frame, got non method frame instead');
    }
    this.#methodId = readMethodId(bytes, start, end);
    const { name } = readMethod(bytes, start, end);
    if (name !== 'channel.open') throw new ConnectionError('channel-error', "expected 'channel.open'");
    const channel = new Channel(number, this);
    this.#channels.set(number, channel);
    channel.reply('channel.open-ok', {});
  }

  /** After either side has sent connection.close. */
  #discard(type: number, number: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FRAME_METHOD || number !== 0) return;
    const id = readMethodId(bytes, start, end);
    if (this.#state === 'closing') {
      if (id === CONNECTION_CLOSE_OK_ID) this.#leave();
      // Both sides closed at once.
      if (id === CONNECTION_CLOSE_ID) this.#confirmClose();
    } else if (this.#state === 'closed' && id === CONNECTION_CLOSE_ID && !this.output.congested) {
      this.output.frame(methodFrame(0, 'connection.close-ok', {}));
    }
  }

  /** As in RabbitMQ, clients may close from several places at once: each is answered, and the socket is theirs to close. */
  #confirmClose(): void {
    this.#state = 'closed';
    this.#release();
    this.output.frame(methodFrame(0, 'connection.close-ok', {}));
    this.intake.drain();
    destroyLater(this.#socket);
  }

  /** Nothing more will be said: sends what is left, and gives the client some time to take it. */
  #leave(): void {
    this.#state = 'ended';
    this.#release();
    this.intake.drain();
    this.output.end();
    destroyLater(this.#socket);
  }

  #release(): void {
    // All of them first: what one channel gives back is not for another one of this connection, which is gone too.
    for (const channel of this.#channels.values()) channel.deliveries.stop();
    for (const channel of this.#channels.values()) channel.release();
    this.#channels.clear();
    this.#confirming = [];
    this.virtualHost.releaseOwner(this);
    clearInterval(this.#heartbeatTimer);
  }

  #socketClosed(): void {
    this.#state = 'ended';
    this.#release();
    this.output.close();
  }

  #beat(intervalSeconds: number): NodeJS.Timeout | undefined {
    if (intervalSeconds === 0) return undefined;
    const heartbeat = new Heartbeat(this.#socket);
    return setInterval(() => {
      const decision = heartbeat.tick(!this.intake.paused);
      if (decision === 'send') this.output.frame(HEARTBEAT_FRAME);
      if (decision !== 'drop') return;
      this.services.logger.warn(
        { client: this.#client },
        `no heartbeat for ${2 * intervalSeconds} s, connection dropped`,
      );
      this.#socket.destroy();
    }, intervalSeconds * 500);
  }
}

/** Class id and method id as one number; 0 where there is no room for them. */
function readMethodId(bytes: Buffer, start: number, end: number): number {
  return end - start < 4 ? 0 : bytes.readUInt32BE(start);
}
