import { join } from 'node:path';
import { contentFormat } from './amqp-gateway/index.js';
import { Broker, MemoryAccount } from './broker/index.js';
import { LevelStore } from './broker/store/index.js';
import type { GrantAdministration, KeptRequest, Rows } from './control/index.js';
import { executeOnKept } from './control/index.js';
import { GRANTS_FILE, IDENTITY_FILE } from './data-dir.js';
import { heapEntryLimit } from './memory-limit.js';
import { exchangeTypes } from './overlay/index.js';

/** Nobody publishes meanwhile. */
const LIMIT_BYTES = Number.MAX_SAFE_INTEGER;

/** Loads an overlay, which other commands do without. */
async function grantsOf(dataDir: string, { command }: KeptRequest): Promise<GrantAdministration> {
  if (!command.startsWith('grant ')) return NO_GRANTS;
  const { openGrantDesk } = await import('./dht-space/index.js');
  const { grantAdministration } = await import('./grant-administration.js');
  const files = { identityFile: join(dataDir, IDENTITY_FILE), grantsFile: join(dataDir, GRANTS_FILE) };
  return grantAdministration(await openGrantDesk(files));
}

const notAsked = () => Promise.reject(new TypeError('the command is not about grants'));
const NO_GRANTS: GrantAdministration = {
  create: notAsked,
  list: () => [],
  revoke: notAsked,
  import: notAsked,
};

const silent = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * Carries out a command in the data directory of a node that does not run.
 *
 * @throws StorageError, such as for a node that does run
 */
export async function onStoppedNode(dataDir: string, request: KeptRequest): Promise<Rows> {
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
      return await executeOnKept({ broker, grants: await grantsOf(dataDir, request) }, request);
    } finally {
      broker.stop();
    }
  } finally {
    await store.close();
  }
}
