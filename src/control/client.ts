import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { ControlAnswer } from './carry-out.js';
import type { ControlRequest, ControlResult } from './commands.js';
import { CONTROL_TIMEOUT_MS, MAX_ANSWER_BYTES } from './limits.js';

export const UNKNOWN_OUTCOME = 'the node did not answer: whether the command was carried out is not known';

/**
 * Has a running node do something. Undefined: no node runs there.
 *
 * @throws Error: it has refused, or did not answer
 */
export async function ask(path: string, request: ControlRequest): Promise<ControlResult | undefined> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // No socket, or one that a process left when it was killed.
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw new Error(`the node's control socket '${path}' cannot be reached: ${message}`);
  }
  socket.setTimeout(CONTROL_TIMEOUT_MS, () => socket.destroy());
  socket.write(`${JSON.stringify(request)}\n`);
  const answer = await answerFrom(socket);
  if ('error' in answer) throw new Error(answer.error);
  return answer.result;
}

export async function answerFrom(socket: AsyncIterable<Buffer>): Promise<ControlAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of socket) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) break;
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new Error(UNKNOWN_OUTCOME, { cause });
  }
}
