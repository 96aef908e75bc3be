import { unlink } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { ControlAnswer, ControlLogger } from './carry-out.js';
import { carryOut } from './carry-out.js';
import type { Administered } from './commands.js';
import {
  CONTROL_TIMEOUT_MS,
  MAX_CONTROL_CONNECTIONS,
  MAX_REQUEST_BYTES,
  MAX_SOCKET_PATH_BYTES,
} from './limits.js';

/** Files that this process makes meanwhile are its owner's alone. */
const OWNER_ONLY = 0o177;

/** Where a running node takes commands: a socket that only its owner can open. Per connection one line of JSON each way. */
export class ControlServer {
  readonly #administered: Administered;
  readonly #logger: ControlLogger;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(administered: Administered, logger: ControlLogger) {
    this.#administered = administered;
    this.#logger = logger;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Whoever calls owns the folder: a socket that is there was left by a process that has ended. */
  static async listen(
    path: string,
    administered: Administered,
    logger: ControlLogger,
  ): Promise<ControlServer> {
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw new Error(
        `data-dir: '${path}' is longer than a socket's path can be (${MAX_SOCKET_PATH_BYTES} bytes)`,
      );
    }
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    const control = new ControlServer(administered, logger);
    const umask = process.umask(OWNER_ONLY);
    try {
      await new Promise<void>((resolve, reject) => {
        control.#server.once('error', reject);
        control.#server.listen(path, resolve);
        process.umask(umask); // the file was made within the call
      });
    } finally {
      process.umask(umask);
    }
    control.#server.on('error', (err) => logger.error({ err }, 'a command could not be accepted'));
    return control;
  }

  /** The socket's file goes with it. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {}); // whoever asked has gone
    socket.setTimeout(CONTROL_TIMEOUT_MS, () => socket.destroy());
    if (this.#sockets.size <= MAX_CONTROL_CONNECTIONS) this.#serve(socket);
    else
      finish(socket, { error: `the node serves ${MAX_CONTROL_CONNECTIONS} commands at a time: try again` });
  }

  /** One request, one answer. */
  #serve(socket: Socket): void {
    let received = '';
    socket.setEncoding('utf8');
    const take = (chunk: string) => {
      received += chunk;
      const end = received.indexOf('\n');
      if (end < 0 && received.length < MAX_REQUEST_BYTES) return;
      socket.off('data', take).off('end', leave).pause();
      const line = end < 0 || end >= MAX_REQUEST_BYTES ? undefined : received.slice(0, end);
      void this.#answer(line).then((answer) => finish(socket, answer));
    };
    const leave = () => socket.destroy();
    socket.on('data', take).on('end', leave);
  }

  async #answer(line: string | undefined): Promise<ControlAnswer> {
    if (line === undefined) return { error: `request: longer than ${MAX_REQUEST_BYTES} bytes` };
    const outcome = await carryOut(line, this.#administered, this.#logger);
    return outcome.status === 'done' ? { result: outcome.result } : { error: outcome.error };
  }
}

/** The other side closes when it has the answer; what else it sends until then is of no interest. */
function finish(socket: Socket, answer: ControlAnswer): void {
  socket.end(`${JSON.stringify(answer)}\n`);
  socket.resume();
}
