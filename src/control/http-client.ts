import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { answerFrom, UNKNOWN_OUTCOME } from './client.js';
import type { ControlRequest, ControlResult } from './commands.js';
import { CONTROL_TIMEOUT_MS } from './limits.js';

/** Where requests are posted to, as JSON. */
export const COMMANDS_PATH = '/api/commands';
/** Of the header `server`: who answers is a node. */
export const MANAGEMENT_SERVER = 'xspace';

const DEFAULT_USER = { name: 'guest', password: 'guest' };

/**
 * Has a running node do something, by its management listener. `url`: `http://name:password@host:port`, without a name
 * the default user's. Errors never show the password.
 *
 * @throws Error: the node has refused, did not answer, or is none
 */
export async function askAt(url: URL, request: ControlRequest): Promise<ControlResult> {
  const at = `management: ${url.protocol}//${url.host}`;
  const { name, password } = credentialsIn(url);
  const response = await post(url, at, `${name}:${password}`, JSON.stringify(request));
  if (response.headers.server !== MANAGEMENT_SERVER) {
    response.destroy();
    throw new Error(`${at}: who answers there is no xspace node`);
  }
  const answer = await answerFrom(response);
  if (response.statusCode === 401) throw new Error(`${at}: the login of user '${name}' was refused`);
  if ('error' in answer) throw new Error(answer.error);
  return answer.result;
}

async function post(url: URL, at: string, credentials: string, body: string): Promise<IncomingMessage> {
  let isReached = false;
  const outgoing = httpRequest({
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port,
    path: COMMANDS_PATH,
    method: 'POST',
    headers: {
      host: url.host,
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
    signal: AbortSignal.timeout(CONTROL_TIMEOUT_MS),
  });
  outgoing.once('socket', (socket) => socket.once('connect', () => (isReached = true)));
  try {
    outgoing.end(body);
    const [response] = await once(outgoing, 'response');
    return response;
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    // What came is not HTTP.
    if (code.startsWith('HPE_')) throw new Error(`${at}: who answers there is no xspace node`, { cause });
    throw new Error(`${at}: ${isReached ? UNKNOWN_OUTCOME : `cannot be reached: ${message || code}`}`, {
      cause,
    });
  }
}

function credentialsIn({ username, password }: URL): { readonly name: string; readonly password: string } {
  if (username === '') return DEFAULT_USER;
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}
