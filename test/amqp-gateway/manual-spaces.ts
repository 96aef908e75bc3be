import type {
  CallOptions,
  JoinRequest,
  OutgoingMessage,
  Pattern,
  PointReceiver,
  PointSession,
  PointStatus,
  SpaceDeclaration,
  SpaceHandle,
  SpaceImplementation,
} from '../../src/overlay/index.js';
import { eventually } from '../support/eventually.js';
import { join, startSpaceNode } from './space-exchange-fixture.js';

/** A promise that a test settles. */
export class Answer<T = void> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => {};
  reject: (error: unknown) => void = () => {};

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** A call that was made on {@link ManualSpaces}, and waits for its answer. */
export interface PendingCall<Request, Result> {
  readonly request: Request;
  readonly signal: AbortSignal | undefined;
  readonly answer: Answer<Result>;
}

/** An implementation that answers when and what a test says. */
export class ManualSpaces implements SpaceImplementation {
  readonly name: string;
  readonly declares: PendingCall<SpaceDeclaration, SpaceHandle>[] = [];
  readonly joins: (PendingCall<JoinRequest, PointSession> & { readonly receiver: PointReceiver })[] = [];

  constructor(name = 'manual') {
    this.name = name;
  }

  declareSpace(request: SpaceDeclaration, { signal }: CallOptions = {}): Promise<SpaceHandle> {
    const answer = new Answer<SpaceHandle>();
    this.declares.push({ request, signal, answer });
    return answer.promise;
  }

  join(request: JoinRequest, receiver: PointReceiver, { signal }: CallOptions = {}): Promise<PointSession> {
    const answer = new Answer<PointSession>();
    this.joins.push({ request, signal, answer, receiver });
    return answer.promise;
  }

  async close(): Promise<void> {}
}

/** A session that notes what is asked of it. Its promises resolve at once, unless a test puts an answer there. */
export class ManualSession implements PointSession {
  readonly calls: string[] = [];
  settled: Promise<void> = Promise.resolve();
  pause: (message: OutgoingMessage) => Promise<void> | undefined = () => undefined;
  left: Promise<void> = Promise.resolve();

  publish(message: OutgoingMessage): Promise<void> | undefined {
    this.calls.push(`publish ${message.routingKey}`);
    return this.pause(message);
  }

  addInterest({ routingKey }: Pattern): Promise<void> {
    this.calls.push(`add ${routingKey}`);
    return this.settled;
  }

  removeInterest({ routingKey }: Pattern): void {
    this.calls.push(`remove ${routingKey}`);
  }

  status(): PointStatus {
    return { state: 'joined', participants: [], published: 0, received: 0 };
  }

  leave(): Promise<void> {
    this.calls.push('leave');
    return this.left;
  }

  async delete(): Promise<void> {
    this.calls.push('delete');
  }
}

export class ManualHandle implements SpaceHandle {
  readonly calls: string[] = [];

  async close(): Promise<void> {
    this.calls.push('close');
  }

  async delete(): Promise<void> {
    this.calls.push('delete');
  }
}

/** The declare arguments of an alias that such spaces manage. */
export const manualPoint = {
  exchangespace: { implementation: 'manual', space: 'market' },
  exchangename: 'bids',
  exchangetype: 'topic',
};

/** A node whose spaces answer when a test says so. */
export async function startManual() {
  const spaces = new ManualSpaces();
  const node = await startSpaceNode(spaces);
  return { spaces, node, channel: await node.channel() };
}

/** The same with an alias `b`, joined, its session and its receiver. */
export async function startJoined() {
  const setup = await startManual();
  const { spaces, channel } = setup;
  const declared = join(channel, 'b', manualPoint);
  await eventually(() => spaces.joins.length === 1);
  const session = new ManualSession();
  spaces.joins[0]?.answer.resolve(session);
  await declared;
  const receiver = spaces.joins[0]?.receiver;
  if (receiver === undefined) throw new Error('not joined');
  return { ...setup, session, receiver };
}

/** Whether a promise has settled so far. */
export function watch(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false };
  const settle = () => {
    state.settled = true;
  };
  promise.then(settle, settle);
  return state;
}
