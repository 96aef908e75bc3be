import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { it } from 'vitest';
import { projectRoot } from '../support/node-process.js';

/** Where keys are exported after they were made, Node 20 hangs for good after some 3,000 of them. */
const HANDSHAKES = 20_000;
const LIMIT_MS = 60_000;

it('a process makes keys for 20,000 handshakes without a hang', async () => {
  const script = join(projectRoot, 'test', 'faults', 'handshake-keys.mjs');
  const args = ['--max-semi-space-size=1', script, `${HANDSHAKES}`];
  await promisify(execFile)(process.execPath, args, { timeout: LIMIT_MS, killSignal: 'SIGKILL' });
});
