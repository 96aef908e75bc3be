import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { encodeHeader, FRAME_BODY, FRAME_HEADER } from '../src/amqp-codec/index.js';
import { frame, methodFrame } from '../test/support/amqp-raw-client.js';
import type { HonestClient } from './honest-client.js';
import { LIMIT_MS } from './limits.js';
import type { Script, Step } from './script.js';
import type { FuzzServer, ServerStatus } from './server.js';
import { LEFT_EXCHANGES, LEFT_QUEUES } from './vocabulary.js';
import { WatchedClient } from './watched-client.js';

const POLL_MS = 1;

/** Where scripts are performed: a server, and a client beside them that must not notice. */
export interface Stage {
  readonly server: FuzzServer;
  readonly honest: HonestClient;
}

/** One script being performed. */
export class Performance {
  readonly #stage: Stage;
  readonly #script: Script;
  readonly #clients = new Map<number, WatchedClient>();
  /** All there ever were: a client that has gone is replaced by the next step that needs one. */
  readonly #everyClient: WatchedClient[] = [];
  readonly #strangers: Socket[] = [];
  /** Of names that nobody knows, declared by mangled octets: the stage is not as it was. */
  mayHaveLeftQueues = false;

  constructor(stage: Stage, script: Script) {
    this.#stage = stage;
    this.#script = script;
  }

  /** What was wrong, if anything. */
  async perform(): Promise<string | undefined> {
    const problem = await this.#performed();
    if (problem === undefined) return undefined;
    const { errors } = await this.#stage.server.status({ collect: false });
    return [problem, ...errors].join('\n');
  }

  async #performed(): Promise<string | undefined> {
    const { honest } = this.#stage;
    for (const step of this.#script.steps) {
      await this.#step(step);
      if (this.#fault !== undefined) return this.#fault;
    }
    await Promise.all([
      ...this.#everyClient.map((client) => client.settled(LIMIT_MS)),
      honest.roundTrip(LIMIT_MS),
    ]);
    for (const socket of this.#strangers) socket.destroy();
    for (const client of this.#everyClient) client.end('close');
    await Promise.all(this.#everyClient.map((client) => client.left(LIMIT_MS)));
    if (this.#fault !== undefined) return this.#fault;
    return this.#leftovers();
  }

  get #fault(): string | undefined {
    const faulty = this.#everyClient.find(({ fault }) => fault !== undefined);
    return faulty?.fault ?? this.#stage.honest.fault;
  }

  async #leftovers(): Promise<string | undefined> {
    const { honest, server } = this.#stage;
    const alone = await until(server, ({ connections }) => connections === 1);
    if (alone.connections !== 1) return `${alone.connections - 1} connections are left`;
    const declared = this.#everyClient.flatMap(({ declaredQueues }) => [...declaredQueues]);
    await honest.clean(new Set([...LEFT_QUEUES, ...declared]), LEFT_EXCHANGES, LIMIT_MS);
    if (honest.fault !== undefined) return honest.fault;
    const status = await until(server, ({ heldBytes, heldEntries }) => heldBytes === 0 && heldEntries === 0);
    const errors = [...alone.errors, ...status.errors];
    if (errors.length > 0) return errors.join('\n');
    if (status.channels !== 2) return `${status.channels - 2} channels are left`;
    if (status.heldBytes !== 0 || status.heldEntries !== 0) {
      this.mayHaveLeftQueues = this.#everyClient.some(({ isBlind }) => isBlind);
      if (this.mayHaveLeftQueues) return undefined;
      return `${status.heldBytes} octets and ${status.heldEntries} entries are still accounted for`;
    }
    return undefined;
  }

  async #step(step: Step): Promise<void> {
    switch (step.do) {
      case 'wait':
        await Promise.all([
          ...this.#everyClient.map((client) => client.settled(LIMIT_MS)),
          this.#stage.honest.roundTrip(LIMIT_MS),
        ]);
        return;
      case 'end':
        this.#clients.get(step.connection)?.end(step.how);
        this.#clients.delete(step.connection);
        return;
      case 'octets':
        await this.#nonsense(step);
        return;
      case 'greet':
        await this.#greet(Buffer.from(step.hex, 'hex'), step.pieceBytes);
        return;
      case 'method': {
        const client = await this.#client(step.connection);
        if (step.name !== 'channel.open') openChannel(client, step.channel);
        client.method(step.channel, step.name, step.arguments);
        return;
      }
      case 'publish':
        publish(await this.#client(step.connection), step);
        return;
      case 'settle': {
        const client = await this.#client(step.connection);
        const { channel, multiple, name, requeue } = step;
        const deliveryTag = client.channel(channel).takeTag(step.before, multiple);
        if (deliveryTag === undefined || !client.channel(channel).isOpen) return;
        client.method(channel, name, { deliveryTag, multiple, requeue });
        return;
      }
      default:
        step satisfies never;
    }
  }

  async #nonsense({ connection, hex, pieceBytes }: Extract<Step, { do: 'octets' }>): Promise<void> {
    const client = await this.#client(connection);
    client.goBlind();
    await sendInPieces((piece) => client.write(piece), Buffer.from(hex, 'hex'), pieceBytes);
  }

  async #greet(octets: Buffer, pieceBytes: number): Promise<void> {
    const socket = connect({ port: this.#stage.server.port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined);
    socket.resume();
    await sendInPieces((piece) => socket.write(piece), octets, pieceBytes);
    this.#strangers.push(socket);
  }

  async #client(connection: number): Promise<WatchedClient> {
    const existing = this.#clients.get(connection);
    if (existing?.state === 'open') return existing;
    const client = await WatchedClient.connect(this.#stage.server.port, this.#script.frameMax, LIMIT_MS);
    this.#clients.set(connection, client);
    this.#everyClient.push(client);
    return client;
  }
}

function openChannel(client: WatchedClient, number: number): void {
  if (!client.channel(number).isOpen) client.method(number, 'channel.open', {});
}

function publish(client: WatchedClient, step: Extract<Step, { do: 'publish' }>): void {
  openChannel(client, step.channel);
  client.channel(step.channel).published();
  client.write(methodFrame(step.channel, 'basic.publish', step.to));
  client.write(frame(FRAME_HEADER, step.channel, encodeHeader(step.bodyBytes, step.properties)));
  for (let left = step.bodyBytes; left > 0; left -= step.partBytes) {
    client.write(frame(FRAME_BODY, step.channel, Buffer.alloc(Math.min(left, step.partBytes), 'x')));
  }
}

async function sendInPieces(
  send: (piece: Buffer) => void,
  octets: Buffer,
  pieceBytes: number,
): Promise<void> {
  for (let at = 0; at < octets.length; at += pieceBytes) {
    send(octets.subarray(at, at + pieceBytes));
    // A turn of the loop, so that pieces stay apart.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The first status that is as wanted, or the last one before the time is over; with all errors on the way. */
async function until(server: FuzzServer, wanted: (status: ServerStatus) => boolean): Promise<ServerStatus> {
  const errors: string[] = [];
  for (const deadline = performance.now() + LIMIT_MS; ; ) {
    const status = await server.status({ collect: false });
    errors.push(...status.errors);
    if (wanted(status) || performance.now() > deadline) return { ...status, errors };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
