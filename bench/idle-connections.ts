import { setTimeout } from 'node:timers/promises';
import { RawClient } from './raw-client.js';
import type { Server } from './server.js';
import { rssBytesOfAll } from './server.js';

/** Connected before the first measurement, so that what a server allocates once is not counted. */
const WARM_UP_CONNECTIONS = 100;
const AT_A_TIME = 50;
const SETTLE_MS = 2_000;

/** What a connection with one channel costs a server while nothing happens on it, in bytes of resident memory. */
export async function idleConnectionBytes(server: Server, connections: number): Promise<number> {
  const clients: RawClient[] = [];
  try {
    await connect(server.url, WARM_UP_CONNECTIONS, clients);
    const before = await settledBytes(server);
    await connect(server.url, connections, clients);
    return ((await settledBytes(server)) - before) / connections;
  } finally {
    for (const client of clients) client.close();
  }
}

async function connect(url: string, count: number, clients: RawClient[]): Promise<void> {
  for (let left = count; left > 0; left -= AT_A_TIME) {
    const batch = Array.from({ length: Math.min(left, AT_A_TIME) }, () => RawClient.connect(url));
    clients.push(...(await Promise.all(batch)));
  }
}

async function settledBytes({ pid }: Server): Promise<number> {
  await setTimeout(SETTLE_MS);
  return rssBytesOfAll([pid]);
}
