import { unlink } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { BrokerError } from '../broker/index.js';
import type { Administered, ControlResult } from './commands.js';
import { execute, parseRequest } from './commands.js';
import {
  CONTROL_TIMEOUT_MS,
  MAX_CONTROL_CONNECTIONS,
  MAX_REQUEST_BYTES,
  MAX_SOCKET_PATH_BYTES,
} from './limits.js';

interface ControlLogger {
  info(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** Files that this process makes meanwhile are its owner's alone. */
const OWNER_ONLY = 0o177;

/** What goes back for a request, as a line of JSON. */
export type ControlAnswer = { readonly result: ControlResult } | { readonly error: string };

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
    try {
      const request = parseRequest(line);
      const result = await execute(this.#administered, request);
      if (!request.command.endsWith(' list')) this.#logger.info({ request: shown(request) }, request.command);
      return { result };
    } catch (error) {
      if (error instanceof BrokerError) return { error: error.message };
      this.#logger.error({ err: error }, 'a command failed');
      return { error: 'the command failed inside the node: see its log' };
    }
  }
}

/** Everything about a request that may be logged: a bearer grant is as good as a password. */
function shown(request: object): object {
  return Object.fromEntries(
    Object.entries(request).filter(
      ([field]) => field !== 'password' && field !== 'grant' && field !== 'command',
    ),
  );
}

/** The other side closes when it has the answer; what else it sends until then is of no interest. */
function finish(socket: Socket, answer: ControlAnswer): void {
  socket.end(`${JSON.stringify(answer)}\n`);
  socket.resume();
}
