import { setTimeout } from 'node:timers/promises';
import type { Logger } from '../overlay/index.js';
import { SpaceError } from '../overlay/index.js';
import { RETRY_CAP_MS, RETRY_FIRST_MS } from './limits.js';

/**
 * Makes an attempt again and again until one works. Waits in between: full jitter below a bound that doubles up to a cap.
 * A cause is logged when it is another than the last time.
 *
 * @returns undefined when `signal` was aborted before
 */
export async function inBackground<T>(
  attempt: () => Promise<T>,
  options: { readonly signal: AbortSignal; readonly logger: Logger; readonly what: string },
): Promise<T | undefined> {
  const { signal, logger, what } = options;
  let logged: string | undefined;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SpaceError)) logger.error({ err: error, what }, 'failed in the background');
      else if (error.message !== logged && !signal.aborted) {
        logger.warn({ what, cause: error.message }, 'not there yet, is tried again');
      }
      logged = error instanceof Error ? error.message : String(error);
    }
    const bound = Math.min(RETRY_CAP_MS, RETRY_FIRST_MS * 2 ** Math.min(failures, 30));
    await setTimeout(Math.random() * bound, undefined, { signal }).catch(() => {});
  }
  return undefined;
}
