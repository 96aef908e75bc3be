import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { REFUSED_LOGIN_MS } from '../amqp-gateway/index.js';
import type { User } from '../broker/index.js';
import type { Administered } from '../control/index.js';
import {
  COMMANDS_PATH,
  CONTROL_TIMEOUT_MS,
  carryOut,
  MANAGEMENT_SERVER,
  MAX_REQUEST_BYTES,
} from '../control/index.js';
import type { Logger } from '../overlay/index.js';
import { HttpError } from './http-error.js';
import {
  MAX_HEADER_BYTES,
  MAX_MANAGEMENT_CONNECTIONS,
  MAX_REFUSED_LOGINS,
  REQUEST_CHECK_INTERVAL_MS,
  REQUEST_TIMEOUT_MS,
} from './limits.js';
import { administratorOf, LoginRefused } from './login.js';

interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

interface Request {
  readonly body: string;
  readonly user: User;
  readonly headers: IncomingMessage['headers'];
}

interface Route {
  readonly method: 'GET' | 'POST';
  /** @throws HttpError */
  readonly run: (request: Request) => Promise<object>;
}

/** So that nothing is kept, neither the answer nor its connection, and nothing is taken for a page. */
const HEADERS: OutgoingHttpHeaders = {
  connection: 'close',
  server: MANAGEMENT_SERVER,
  'content-type': 'application/json',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/** Where a node takes commands over HTTP, from administrators: the users of its broker with that tag. One request per connection. */
export class ManagementServer {
  readonly #node: Administered;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #routes: ReadonlyMap<string, Route> = new Map<string, Route>([
    [COMMANDS_PATH, { method: 'POST', run: (request) => this.#command(request) }],
    ['/api/status', { method: 'GET', run: async () => this.#node.spaces.status() }],
  ]);
  #refusedLogins = 0;

  private constructor(node: Administered, logger: Logger) {
    this.#node = node;
    this.#logger = logger;
    const limits = {
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: REQUEST_CHECK_INTERVAL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    };
    this.#server = createServer(limits, (request, response) => void this.#serve(request, response));
    this.#server.maxConnections = MAX_MANAGEMENT_CONNECTIONS;
    // Whoever sends several at once would wait for refused logins once only.
    this.#server.maxRequestsPerSocket = 1;
    // A command that hangs: whoever asked stops waiting then, too.
    this.#server.timeout = CONTROL_TIMEOUT_MS;
    this.#server.on('drop', (dropped) => {
      const text = `more than ${MAX_MANAGEMENT_CONNECTIONS} management connections, one was refused`;
      logger.warn({ client: dropped?.remoteAddress }, text);
    });
  }

  static async listen(
    { host, port }: ListenAddress,
    node: Administered,
    logger: Logger,
  ): Promise<ManagementServer> {
    const management = new ManagementServer(node, logger);
    const server = management.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    server.on('error', (err) => logger.error({ err }, 'a management client could not be accepted'));
    return management;
  }

  /** What was bound. */
  get address(): ListenAddress {
    const { address: host, port } = this.#server.address() as AddressInfo;
    return { host, port };
  }

  /** Answers that are under way are cut off. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Every way this can end is handled here: nobody waits for it. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      send(response, 200, await this.#answer(request));
    } catch (error) {
      // Whoever asked has gone.
      if (response.destroyed) return;
      if (error instanceof LoginRefused) await this.#keepWaiting(request, response, error);
      if (error instanceof HttpError) {
        send(response, error.status, { error: error.message }, error.headers);
      } else {
        this.#logger.error({ err: error }, 'a management request failed');
        send(response, 500, { error: 'the request failed inside the node: see its log' });
      }
    }
  }

  async #answer(request: IncomingMessage): Promise<object> {
    // To its end, whatever becomes of it: an answer would be lost with a connection that has more to read.
    const body = await bodyOf(request);
    const user = await administratorOf(request, this.#node.broker);
    const [path = ''] = request.url?.split('?') ?? [];
    const route = this.#routes.get(path);
    if (route === undefined) {
      throw new HttpError(404, `path: expected one of ${[...this.#routes.keys()].join(', ')}`);
    }
    if (request.method !== route.method) {
      const headers = { allow: route.method };
      throw new HttpError(405, `method: expected ${route.method}, found ${request.method}`, { headers });
    }
    if (body === undefined) throw new HttpError(413, `body: longer than ${MAX_REQUEST_BYTES} bytes`);
    return route.run({ body, user, headers: request.headers });
  }

  async #command({ headers, body, user }: Request): Promise<object> {
    // Other sites' pages can send forms here, but JSON only with leave, and nobody gives that.
    if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
      throw new HttpError(415, "content-type: expected 'application/json'");
    }
    const outcome = await carryOut(body, this.#node, this.#logger, { by: user.name });
    if (outcome.status === 'done') return { result: outcome.result };
    throw new HttpError(outcome.status === 'refused' ? 400 : 500, outcome.error);
  }

  /** As long as an AMQP client would: trying many passwords takes many connections. */
  async #keepWaiting(
    { socket }: IncomingMessage,
    response: ServerResponse,
    refused: LoginRefused,
  ): Promise<void> {
    const reason = refused.cause instanceof Error ? refused.cause.message : undefined;
    this.#logger.warn({ client: socket.remoteAddress, reason }, 'a login to management was refused');
    if (this.#refusedLogins >= MAX_REFUSED_LOGINS) return;
    this.#refusedLogins++;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, REFUSED_LOGIN_MS);
      response.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#refusedLogins--;
  }
}

/** Undefined: it was too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_REQUEST_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return bytes <= MAX_REQUEST_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined;
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...HEADERS, ...headers }).end(`${JSON.stringify(body)}\n`);
}
