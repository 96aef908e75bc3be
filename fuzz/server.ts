import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { contentFormat, createGateway, SpaceExchanges } from '../src/amqp-gateway/index.js';
import { Broker, MemoryAccount } from '../src/broker/index.js';
import { LevelStore } from '../src/broker/store/index.js';
import { createMemoryImplementation, exchangeTypes, MemoryNetwork } from '../src/overlay/index.js';

const MEMORY_LIMIT_BYTES = 256 * 2 ** 20;
const MEMORY_LIMIT_ENTRIES = 1_000_000;
/** So small that the short queues of a script are written out and read back. */
const PAGING = {
  memoryMessages: 4,
  memoryBytes: 20_000,
  tightMemoryMessages: 2,
  pageMessages: 2,
  pageBytes: 10_000,
};
const KEPT_ERRORS = 10;
const COLLECTIONS = 4;
const COLLECTION_PAUSE_MS = 20;

/** What must come back to where it was, and what must not be there at all. */
export interface ServerStatus {
  readonly connections: number;
  readonly channels: number;
  /** The account of held messages and output. */
  readonly heldBytes: number;
  readonly heldEntries: number;
  /** After garbage collections, where it was asked for and node runs with --expose-gc. */
  readonly heapBytes: number;
  /** What the gateway logged as an error since the last status. */
  readonly errors: readonly string[];
}

/** A gateway with its broker: in this process, or in one of its own. */
export interface FuzzServer {
  readonly port: number;
  status(options: { readonly collect: boolean }): Promise<ServerStatus>;
  stop(): Promise<void>;
}

/** A server with a folder of its own, which goes with it. */
export async function inOwnFolder(start: (folder: string) => Promise<FuzzServer>): Promise<FuzzServer> {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-fuzz-'));
  const server = await start(folder);
  return {
    ...server,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** With a store in the folder; aliases join points of the implementation `memory`. */
export async function startServer(folder: string): Promise<FuzzServer> {
  const memory = new MemoryAccount({ limitBytes: MEMORY_LIMIT_BYTES, limitEntries: MEMORY_LIMIT_ENTRIES });
  const errors: string[] = [];
  const ignore = () => undefined;
  const error = (fields: object, text: string) => {
    if (errors.length < KEPT_ERRORS) errors.push(`${text}: ${causeIn(fields)}`);
  };
  const logger = { debug: ignore, info: ignore, warn: ignore, error };
  const store = { intervalMs: 0, diskLimitBytes: 0, format: contentFormat, memory, logger };
  const storage = await LevelStore.open(folder, store);
  const broker = new Broker({ exchangeTypes, memory, storage, paging: PAGING });
  const spaceExchange = new SpaceExchanges([createMemoryImplementation(new MemoryNetwork())], logger);
  const gateway = createGateway({ broker, memory, logger, spaceExchange });
  const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 });
  return {
    port,
    async status({ collect }) {
      const heapBytes = collect ? await collectedHeapBytes() : 0;
      const { connections, channels } = gateway.status();
      const held = { heldBytes: memory.bytes, heldEntries: memory.entries };
      return { connections, channels, ...held, heapBytes, errors: errors.splice(0) };
    },
    async stop() {
      await gateway.close();
      await storage.close();
    },
  };
}

/** Memory outside the heap is freed after a collection, in its own time: several of them see the end of it. */
async function collectedHeapBytes(): Promise<number> {
  let leastBytes = Number.POSITIVE_INFINITY;
  for (let pass = 0; pass < COLLECTIONS; pass++) {
    globalThis.gc?.();
    await setTimeout(COLLECTION_PAUSE_MS);
    const { heapUsed, external } = process.memoryUsage();
    leastBytes = Math.min(leastBytes, heapUsed + external);
  }
  return leastBytes;
}

function causeIn(fields: object): string {
  const cause = 'err' in fields ? fields.err : undefined;
  return cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(fields);
}
