import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../support/node-process.js';
import type { ToolName } from '../../support/tools.js';
import { GO_ENVIRONMENT, JAVA_CLIENT } from '../../support/tools.js';

const run = promisify(execFile);
const LIMIT_MS = 60_000;

/** What a story prints: the same in every language. */
export interface Story {
  readonly consumed: readonly string[];
  /** Whether there was a message, its body, whether its key was the queue's name, whether there was another. */
  readonly got: readonly [found: boolean, body: string, byName: boolean, another: boolean];
  /** Which header came back as something else than was sent; every type that the library can write is among them. */
  readonly headers: readonly string[];
  readonly returned: readonly [code: number, text: string, key: string, body: string];
  readonly refused: readonly [code: number, text: string];
  /** What came through the point; undefined without an alias. */
  readonly alias?: string;
}

/** A client library from Debian, with the program that uses it. */
export interface Script {
  readonly library: string;
  readonly tool: ToolName;
  /** The command that runs the program; compiles it into the scratch folder first, where it must be. */
  command(scratch: string): Promise<readonly [command: string, ...args: string[]]>;
}

const source = (name: string) => join(projectRoot, 'test/interop/clients', name);

export const scripts: readonly Script[] = [
  {
    library: 'amqp091-go',
    tool: 'amqp091-go',
    async command(scratch) {
      const program = join(scratch, 'story-go');
      const env = { ...process.env, ...GO_ENVIRONMENT, GOCACHE: join(scratch, 'go-cache') };
      await run('go', ['build', '-o', program, source('story.go')], { env, timeout: LIMIT_MS });
      return [program];
    },
  },
  { library: 'bunny', tool: 'bunny', command: async () => ['ruby', source('story.rb')] },
  {
    library: 'amqp-client for Java',
    tool: 'amqp-client-java',
    // Java compiles a single source file when it runs it.
    command: async () => ['java', '-cp', JAVA_CLIENT.join(':'), source('Story.java')],
  },
  { library: 'php-amqplib', tool: 'php-amqplib', command: async () => ['php', source('story.php')] },
];

interface Point {
  readonly space: string;
  /** An overlay address of a node in the space. */
  readonly seed: string;
  readonly name: string;
}

/** Runs a story; with another node and a point, it also talks to itself through that point. */
export async function tell(
  [command, ...args]: readonly [string, ...string[]],
  url: string,
  far?: { readonly url: string; readonly point: Point },
): Promise<Story> {
  const more = far === undefined ? [] : [far.url, far.point.space, far.point.seed, far.point.name];
  const { stdout } = await run(command, [...args, url, ...more], { timeout: LIMIT_MS });
  return JSON.parse(stdout);
}
