import { setTimeout as delay } from 'node:timers/promises';
import { DRAIN_LIMIT_MS, DRAIN_POLL_MS, DRAIN_STALL_MS } from './limits.js';

interface Clock {
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
}

const SYSTEM: Clock = { now: () => performance.now(), pause: delay };

/** Resolves when nothing waits any more; or nobody takes any of it, or it takes too long. */
export async function drained(waitingBytes: () => number, { now, pause }: Clock = SYSTEM): Promise<void> {
  const startedMs = now();
  let [leastBytes, takenMs] = [Number.POSITIVE_INFINITY, startedMs];
  for (let bytes = waitingBytes(); bytes > 0; bytes = waitingBytes()) {
    const nowMs = now();
    if (bytes < leastBytes) [leastBytes, takenMs] = [bytes, nowMs];
    if (nowMs - takenMs >= DRAIN_STALL_MS || nowMs - startedMs >= DRAIN_LIMIT_MS) return;
    await pause(DRAIN_POLL_MS);
  }
}
