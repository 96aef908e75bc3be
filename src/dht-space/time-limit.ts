import { setMaxListeners } from 'node:events';

/**
 * A signal that aborts after some time, or with any of the others. libp2p hangs a listener per request on the signal
 * of a query, which Node.js would report as a leak.
 */
export function timeLimit(timeoutMs: number, ...others: readonly (AbortSignal | undefined)[]): AbortSignal {
  const given = others.filter((signal) => signal !== undefined);
  const limited = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...given]);
  setMaxListeners(0, limited);
  return limited;
}
