import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { Broker, MemoryAccount } from '../../src/broker/index.js';
import { ManagementServer } from '../../src/management/index.js';
import { exchangeTypes } from '../../src/overlay/index.js';
import { FakeSpaces } from '../control/fake-spaces.js';
import { LogStub } from '../dht-space/log-stub.js';
import { teardown } from '../support/teardown.js';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  /** Name and password; `null`: none. */
  readonly as?: string | null;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

/** The management listener of a broker without a node, and a client of it. */
export async function startManagement() {
  const broker = new Broker({
    exchangeTypes,
    memory: new MemoryAccount({ limitBytes: 2 ** 30, limitEntries: 1_000_000 }),
  });
  const [log, spaces] = [new LogStub(), new FakeSpaces()];
  const node = { broker, grants: {} as never, spaces };
  const management = await ManagementServer.listen({ host: '127.0.0.1', port: 0 }, node, log);
  teardown(() => management.close());
  const { port } = management.address;

  /** A request as an administrator would send it, apart from what is given. */
  async function call({
    method = 'GET',
    path = '/api/status',
    as = 'guest:guest',
    headers,
    body,
  }: Call = {}): Promise<Answer> {
    const authorization = as === null ? {} : { authorization: `Basic ${Buffer.from(as).toString('base64')}` };
    return new Promise((resolve, reject) => {
      const options = { port, method, path, headers: { ...authorization, ...headers } };
      const outgoing = request(options, (response) => {
        const { statusCode: status = 0, headers } = response;
        json(response).then((answered) => resolve({ status, headers, body: answered }), reject);
      });
      outgoing.once('error', reject).end(body);
    });
  }

  /** Posts a command. */
  function command(body: string | object, more: Call = {}): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', ...more.headers };
    return call({ method: 'POST', path: '/api/commands', ...more, headers, body: text });
  }

  return { broker, spaces, log, management, port, call, command };
}
