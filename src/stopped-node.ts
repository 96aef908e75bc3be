import { contentFormat } from './amqp-gateway/index.js';
import { Broker, MemoryAccount } from './broker/index.js';
import { LevelStore } from './broker/store/index.js';
import type { ControlRequest, ControlResult } from './control/index.js';
import { execute } from './control/index.js';
import { heapEntryLimit } from './memory-limit.js';
import { exchangeTypes } from './overlay/index.js';

/** Nobody publishes meanwhile. */
const LIMIT_BYTES = Number.MAX_SAFE_INTEGER;

const silent = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * Carries out a command in the data directory of a node that does not run.
 *
 * @throws StorageError, such as for a node that does run
 */
export async function onStoppedNode(dataDir: string, request: ControlRequest): Promise<ControlResult> {
  const memory = new MemoryAccount({ limitBytes: LIMIT_BYTES, limitEntries: heapEntryLimit() });
  const store = await LevelStore.open(dataDir, {
    intervalMs: 0,
    diskLimitBytes: 0,
    format: contentFormat,
    memory,
    logger: silent,
  });
  try {
    const broker = new Broker({ exchangeTypes, memory, storage: store });
    try {
      return await execute(broker, request);
    } finally {
      broker.stop();
    }
  } finally {
    await store.close();
  }
}
