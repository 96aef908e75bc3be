import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FuzzServer, ServerStatus } from './server.js';

const START_LIMIT_MS = 20_000;
/** A server that does not answer its parent for so long hangs. */
const STATUS_LIMIT_MS = 10_000;
const KEPT_OUTPUT_CHARACTERS = 4_000;

/** What the process of server-main.ts sends: first its port, then a status for each question. */
export type FromServer = { readonly port: number } | { readonly status: ServerStatus };
export type ToServer = { readonly collect: boolean };

/** A server that may crash or hang: then it says so in what `status` rejects with. */
export async function startServerProcess(folder: string): Promise<FuzzServer> {
  const program = fileURLToPath(new URL('server-main.js', import.meta.url));
  const child = fork(program, [folder], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const output = lastOutputOf(child);
  const [{ port }] = await once(child, 'message', { signal: AbortSignal.timeout(START_LIMIT_MS) });
  return {
    port,
    status: (question) => ask(child, question, output),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function ask(child: ChildProcess, question: ToServer, output: () => string): Promise<ServerStatus> {
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error(`the server crashed: ${output()}`);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), STATUS_LIMIT_MS);
  try {
    const { signal } = stop;
    const answered = once(child, 'message', { signal });
    const exited = once(child, 'exit', { signal }).then(() => undefined);
    exited.catch(() => undefined);
    answered.catch(() => undefined);
    child.send(question);
    const answer = await Promise.race([answered, exited]);
    if (answer === undefined) throw new Error(`the server crashed: ${output()}`);
    return answer[0].status;
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw new Error('the server hangs');
    throw error;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function lastOutputOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-KEPT_OUTPUT_CHARACTERS);
  });
  return () => text;
}
