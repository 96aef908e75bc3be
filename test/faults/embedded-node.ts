import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { teardown } from '../support/teardown.js';

/** What `Node.status()` says of an alias, as far as tests look at it. */
interface AliasStatus {
  readonly exchange: string;
  readonly point: {
    readonly state: string;
    readonly participants: readonly { readonly id: string; readonly linked: boolean }[];
  };
}

export interface EmbeddedStatus {
  readonly aliases: readonly AliasStatus[];
  /** How often each text arrived at the node's app. */
  readonly arrived: readonly (readonly [text: string, count: number])[];
  readonly heapBytes: number;
}

const PROGRAM = fileURLToPath(new URL('./embedded-node.mjs', import.meta.url));

/** A node in a process of its own, made by `createNode`, that can be asked what it sees; killed after the test. */
export class EmbeddedNode {
  readonly name: string;
  readonly peerId: string;
  readonly overlay: readonly string[];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: { result?: unknown; error?: string }) => void>();
  #requests = 0;

  private constructor(name: string, child: ChildProcess, ready: { peerId: string; overlay: string[] }) {
    this.name = name;
    this.#child = child;
    this.peerId = ready.peerId;
    this.overlay = ready.overlay;
    child.on('message', ({ id, ...answer }: { id: number; result?: unknown; error?: string }) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  static async start(name: string): Promise<EmbeddedNode> {
    const child = fork(PROGRAM, [name], { execArgv: ['--expose-gc'] });
    teardown(() => child.kill('SIGKILL'));
    const [{ ready }] = (await once(child, 'message')) as [{ ready: { peerId: string; overlay: string[] } }];
    return new EmbeddedNode(name, child, ready);
  }

  /** Joins the fanout point `talk`; its app is bound to all of it. */
  async join(space: string, through: readonly EmbeddedNode[], declare = false): Promise<void> {
    const seeds = through.flatMap(({ overlay }) => overlay);
    await this.#ask('join', { space, seeds, declare });
  }

  async publish(text: string): Promise<void> {
    await this.#ask('publish', { text });
  }

  status(): Promise<EmbeddedStatus> {
    return this.#ask('status', {}) as Promise<EmbeddedStatus>;
  }

  /** In good order. */
  async leave(): Promise<void> {
    const ended = once(this.#child, 'exit');
    await this.#ask('leave', {});
    await ended;
  }

  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #ask(request: string, options: object): Promise<unknown> {
    this.#requests += 1;
    const id = this.#requests;
    const answered = new Promise<{ result?: unknown; error?: string }>((resolve) => {
      this.#waiting.set(id, resolve);
    });
    this.#child.send({ id, request, ...options });
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(`${this.name}, ${request}: ${error}`);
    return result;
  }
}
