import '../../src/dht-space/promise-polyfill.js';
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Connection, Ed25519PrivateKey, PublicKey, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { pbStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import type { Libp2p } from 'libp2p';
import { createLibp2p } from 'libp2p';
import { ControlStream } from '../../src/dht-space/control-stream.js';
import { openStream } from '../../src/dht-space/open-stream.js';
import { CONTROL_PROTOCOL, LOOKUP_PROTOCOL, MESSAGES_PROTOCOL } from '../../src/dht-space/protocol.js';
import type { Control, Pattern } from '../../src/dht-space/wire/control.js';
import { LookupReply, LookupRequest } from '../../src/dht-space/wire/control.js';
import { eventually } from '../support/eventually.js';
import { teardown } from '../support/teardown.js';
import { addProvider, DHT_PROTOCOL, putValue } from './dht-wire.js';
import type { Identity } from './fixtures.js';
import { HELLO } from './stranger.js';
import { preambleBytes } from './wire-records.js';

/** Whom to attack. */
export interface Target {
  /** With its peer id. */
  readonly address: string;
}

/**
 * A peer with its own key that keeps to no rule: it speaks the protocols by hand. In the DHT it takes what it is given, and
 * knows nothing; to lookups it answers as it is told to.
 */
export class HostileNode implements Identity {
  readonly key: Ed25519PrivateKey;
  readonly id: string;
  /** All that anybody has sent on message streams. */
  readonly octets: Buffer[] = [];
  /** What it knows of spaces, for whoever asks. */
  spaces: LookupReply['spaces'] = [];
  /** How long it thinks about that. */
  answerMs = 0;
  readonly #libp2p: Libp2p;

  private constructor(libp2p: Libp2p, key: Ed25519PrivateKey) {
    this.#libp2p = libp2p;
    this.key = key;
    this.id = peerIdFromPrivateKey(key).toString();
  }

  /** It is stopped after the test. `claiming`: whose key it says is its own. */
  static async start({
    key,
    claiming,
  }: {
    key?: Ed25519PrivateKey;
    claiming?: PublicKey | undefined;
  } = {}): Promise<HostileNode> {
    const privateKey = key ?? (await generateKeyPair('Ed25519'));
    const libp2p = await createLibp2p({
      privateKey,
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [claiming === undefined ? noise() : noiseClaiming(claiming)],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: { identify: identify(), ping: ping() },
    });
    const node = new HostileNode(libp2p, privateKey);
    await libp2p.handle(MESSAGES_PROTOCOL, (stream) => node.#keep(stream));
    await libp2p.handle(DHT_PROTOCOL, echo, { maxInboundStreams: 64 });
    await libp2p.handle(LOOKUP_PROTOCOL, (stream) => node.#answer(stream));
    teardown(() => libp2p.stop());
    return node;
  }

  /** With its peer id. */
  get address(): string {
    return this.#libp2p.getMultiaddrs()[0]?.toString() ?? '';
  }

  get everything(): Buffer {
    return Buffer.concat(this.octets);
  }

  /** @throws Error when it is not let in */
  dial({ address }: Target): Promise<Connection> {
    return this.#libp2p.dial(multiaddr(address));
  }

  /** A link as it should be: both have greeted. */
  async link(to: Target): Promise<HostileLink> {
    const connection = await this.dial(to);
    const link = new HostileLink(connection, await openStream(connection, CONTROL_PROTOCOL));
    await eventually(() => link.heard.some(({ hello }) => hello !== undefined));
    return link;
  }

  async lookUp(to: Target, request: Partial<LookupRequest>): Promise<LookupReply> {
    const stream = await openStream(await this.dial(to), LOOKUP_PROTOCOL);
    const messages = pbStream(stream);
    await messages.write({ space: '', owner: '', grant: new Uint8Array(0), ...request }, LookupRequest);
    const reply = await messages.read(LookupReply);
    await stream.close();
    return reply;
  }

  /** Sends octets on a stream of their own, in one go. Resolves when the other side has ended it. */
  async send(to: Target, protocol: string, octets: Buffer): Promise<'closed' | 'reset'> {
    const stream = await openStream(await this.dial(to), protocol);
    const { promise, resolve } = Promise.withResolvers<'closed' | 'reset'>();
    stream.addEventListener('message', () => {});
    stream.addEventListener('remoteCloseWrite', () => resolve('closed'));
    stream.addEventListener('close', ({ error }) => resolve(error === undefined ? 'closed' : 'reset'));
    stream.send(octets);
    stream.close().catch(() => {});
    return promise;
  }

  /** Has a node keep a value of the DHT; `reset` when that refuses. */
  store(at: Target, key: string, value: Uint8Array): Promise<'closed' | 'reset'> {
    return this.send(at, DHT_PROTOCOL, putValue(key, value));
  }

  /** Has a node keep it that somebody provides these things. */
  provide(at: Target, keys: readonly Uint8Array[], peer = this.#libp2p.peerId): Promise<'closed' | 'reset'> {
    const { bytes } = multiaddr(this.address).decapsulate('/p2p');
    const requests = keys.map((key) => addProvider(key, peer.toMultihash().bytes, bytes));
    return this.send(at, DHT_PROTOCOL, Buffer.concat(requests));
  }

  /** Answers with the same octets whoever asks by this protocol, be it one of libp2p's own. */
  async answer(protocol: string, octets: Uint8Array): Promise<void> {
    await this.#libp2p.unhandle(protocol);
    await this.#libp2p.handle(protocol, async (stream) => {
      stream.send(octets);
      await stream.close();
    });
  }

  #keep(stream: Stream): void {
    stream.addEventListener('message', ({ data }) => void this.octets.push(Buffer.from(data.subarray())));
  }

  async #answer(stream: Stream): Promise<void> {
    const messages = pbStream(stream);
    await messages.read(LookupRequest);
    await setTimeout(this.answerMs);
    await messages.write({ spaces: this.spaces }, LookupReply);
    await stream.close();
  }
}

/** One session with an honest node, both sides of which it writes by hand. */
export class HostileLink {
  readonly heard: Control[];
  /** Resolves when the other side has ended it. */
  readonly ended: Promise<void>;
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly #control: ControlStream;
  readonly #session: number;
  #messages: Promise<Stream> | undefined;
  #number = 0;

  /** `heard` is where all is put that comes. */
  constructor(
    connection: Connection,
    stream: Stream,
    { session = HELLO.session, heard = [] }: { session?: number; heard?: Control[] } = {},
  ) {
    this.#connection = connection;
    this.#stream = stream;
    this.#session = session;
    this.heard = heard;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#control = new ControlStream(stream);
    this.#control.onEnd = () => resolve();
    this.#control.onMessage = (message) => this.#hear(message);
    this.#control.start();
    this.say({ hello: { ...HELLO, credit: 2 ** 31, session } });
  }

  say(...messages: readonly Control[]): void {
    for (const message of messages) this.#control.send(message);
  }

  /** Numbers it, as the next change of this side. */
  change(make: (number: number) => Control): void {
    this.say(make(++this.#number));
  }

  /** Takes part in a point. */
  attach(
    spaceId: Uint8Array,
    point: string,
    { id = 1, type = 'topic' }: { id?: number; type?: string } = {},
  ): void {
    this.change((number) => ({ attach: { number, id, spaceId, point, type } }));
  }

  /** Wants something of a point that it takes part in; the digest is that of all it wants of it. */
  want(
    added: Pattern[],
    { id = 1, digest = 0n, snapshot = false }: { id?: number; digest?: bigint; snapshot?: boolean } = {},
  ): void {
    this.change((number) => ({ interest: { number, id, snapshot, added, removed: [], digest } }));
  }

  /** Control octets as they are. */
  sendRaw(octets: Buffer): void {
    this.#stream.send(octets);
  }

  /** Sends records on the message stream of the session. */
  async write(...records: readonly Buffer[]): Promise<void> {
    this.#messages ??= openStream(this.#connection, MESSAGES_PROTOCOL).then((stream) => {
      stream.send(preambleBytes(this.#session, 0));
      return stream;
    });
    (await this.#messages).send(Buffer.concat(records));
  }

  /** Resolves when all that was said so far was handled, or the session is over. */
  async handled(): Promise<void> {
    const heard = this.heard.length;
    this.say({ ping: { nonce: 99 } });
    const isAnswered = () => this.heard.slice(heard).some(({ pong }) => pong?.nonce === 99);
    await Promise.race([this.ended, eventually(isAnswered)]);
  }

  #hear(message: Control): void {
    this.heard.push(message);
    const { number } = message.attach ?? message.interest ?? message.synced ?? message.detach ?? {};
    if (number !== undefined) this.say({ settled: { number } });
    if (message.ping !== undefined) this.say({ pong: message.ping });
  }
}

/** Nodes whose ids are among the nearest to something in the DHT: of twenty times as many. */
export async function nearest(to: Uint8Array, count: number): Promise<HostileNode[]> {
  const keys = await Promise.all(Array.from({ length: 20 * count }, () => generateKeyPair('Ed25519')));
  const target = sha256(to);
  const distance = (key: Ed25519PrivateKey) =>
    sha256(peerIdFromPrivateKey(key).toMultihash().bytes).map((octet, index) => octet ^ (target[index] ?? 0));
  const far = new Map(keys.map((key) => [key, distance(key)]));
  keys.sort((a, b) => Buffer.compare(far.get(a) ?? target, far.get(b) ?? target));
  return Promise.all(keys.slice(0, count).map((key) => HostileNode.start({ key })));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Answers each request with itself: that holds no value and names no peer, and takes all there is to keep. */
function echo(stream: Stream): void {
  stream.addEventListener('message', ({ data }) => {
    if (stream.writeStatus === 'writable') stream.send(data);
  });
  stream.addEventListener('remoteCloseWrite', () => void stream.close().catch(() => {}));
}

/** Proves its peer id with a signature that is not that peer's. */
function noiseClaiming(publicKey: PublicKey): ReturnType<typeof noise> {
  const replacing = <T extends object>(all: T, name: string, value: unknown): T =>
    new Proxy(all, { get: (target, key) => (key === name ? value : Reflect.get(target, key, target)) });
  return (components) =>
    noise()(replacing(components, 'privateKey', replacing(components.privateKey, 'publicKey', publicKey)));
}
