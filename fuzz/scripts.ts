import type { Random } from '../test/support/random.js';
import { HonestClient } from './honest-client.js';
import { LIMIT_MS } from './limits.js';
import type { Stage } from './performance.js';
import { Performance } from './performance.js';
import type { Script, Step } from './script.js';
import type { Profile } from './script-generator.js';
import { anyScript } from './script-generator.js';
import type { FuzzServer } from './server.js';
import type { Target } from './target.js';

/** A server is given so many scripts to warm up in, and is replaced after so many. */
const WARM_UP_SCRIPTS = 300;
const SCRIPTS_PER_SERVER = 3_000;
/** More than caches and compiled code take once warm; a leak of 3 KiB per script passes it in a server's life. */
const GROWTH_BYTES = 8 * 2 ** 20;

/** One client, all methods with any arguments. */
const CONNECTION: Profile = { connections: 1, channels: 3, steps: 60, octetsOneIn: 0 };
/** One client, frames with wrong octets and octets that are no frames, in pieces. */
const OCTETS: Profile = { connections: 1, channels: 2, steps: 12, octetsOneIn: 2 };
/** Several clients on the same queues and exchanges. */
const INTERLEAVED: Profile = { connections: 4, channels: 2, steps: 120, octetsOneIn: 0 };

export function scriptTargets(start: () => Promise<FuzzServer>): readonly Target<Script>[] {
  return [
    new ScriptTarget('connection', CONNECTION, start),
    new ScriptTarget('octets', OCTETS, start),
    new ScriptTarget('interleaved', INTERLEAVED, start),
  ];
}

/** With how many scripts there were since the server's start, and its heap once it was warm. */
type UsedStage = Stage & { scripts: number; heapBytes: number };

/**
 * Scripts for clients of a gateway. Whatever they do, every answer is well-formed, an honest client beside them is
 * served in time, nothing is an internal error, and when they have gone nothing is left of them.
 */
class ScriptTarget implements Target<Script> {
  readonly name: string;
  readonly #profile: Profile;
  readonly #start: () => Promise<FuzzServer>;
  #stage: UsedStage | undefined;

  constructor(name: string, profile: Profile, start: () => Promise<FuzzServer>) {
    this.name = name;
    this.#profile = profile;
    this.#start = start;
  }

  readonly parts = {
    of: ({ steps }: Script): readonly unknown[] => steps,
    toCase: (parts: readonly unknown[], { frameMax }: Script): Script => ({
      frameMax,
      steps: parts as readonly Step[],
    }),
  };

  generate(random: Random): Script {
    return anyScript(random, this.#profile);
  }

  async run(script: Script): Promise<string | undefined> {
    try {
      const stage = await this.#obtainStage();
      const performing = new Performance(stage, script);
      const problem = await performing.perform();
      stage.scripts++;
      const isSpent = performing.mayHaveLeftQueues || stage.scripts >= SCRIPTS_PER_SERVER;
      if (problem !== undefined || isSpent) await this.close();
      return problem;
    } catch (error) {
      await this.close();
      return error instanceof Error ? error.message : String(error);
    }
  }

  async growth(): Promise<string | undefined> {
    const stage = this.#stage;
    if (stage === undefined || stage.scripts < WARM_UP_SCRIPTS) return undefined;
    const { heapBytes } = await stage.server.status({ collect: true });
    if (stage.heapBytes === 0) stage.heapBytes = heapBytes;
    const grownBytes = heapBytes - stage.heapBytes;
    if (grownBytes < GROWTH_BYTES) return undefined;
    await this.close();
    return `the heap has grown by ${grownBytes} octets in ${stage.scripts} scripts`;
  }

  async close(): Promise<void> {
    const stage = this.#stage;
    this.#stage = undefined;
    await stage?.honest.leave();
    await stage?.server.stop();
  }

  async #obtainStage(): Promise<UsedStage> {
    if (this.#stage !== undefined) return this.#stage;
    const server = await this.#start();
    const honest = await HonestClient.connect(server.port, LIMIT_MS);
    this.#stage = { server, honest, scripts: 0, heapBytes: 0 };
    return this.#stage;
  }
}
