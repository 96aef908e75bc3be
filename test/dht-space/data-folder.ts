import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { teardown } from '../support/teardown.js';

/** An empty folder that is removed after the test. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-overlay-'));
  teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
