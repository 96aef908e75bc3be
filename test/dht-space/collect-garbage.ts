import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc: () => void = runInNewContext('gc');

/** What is held after everything that is not was collected. */
export async function heldMemory(): Promise<{ heapBytes: number; bufferBytes: number; rssBytes: number }> {
  for (let i = 0; i < 3; i += 1) {
    gc();
    // Buffers are freed after the collection that finds them.
    await turn();
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, bufferBytes: arrayBuffers, rssBytes: rss };
}
