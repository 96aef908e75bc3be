import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClaimStore } from '../../src/dht-space/claim-store.js';
import { SPACE_CLAIMS, spaceKey } from '../../src/dht-space/claims.js';
import { MAX_RECENT_READS, RECENT_READ_MS } from '../../src/dht-space/limits.js';
import type { OverlayNode } from '../../src/dht-space/node.js';
import { quietLogger } from './environment.js';

const KEY = spaceKey('market');

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** The claims of spaces in a DHT where so many nodes hold some. */
function storeHeldBy(holders: number): ClaimStore<'space-manifest'> {
  const dht = {
    validators: {},
    selectors: {},
    *get() {
      for (let holder = 0; holder < holders; holder += 1) yield { name: 'PEER_RESPONSE', record: {} };
    },
  };
  const options = { logger: quietLogger, clock: Date.now, changed: () => {} };
  return new ClaimStore({ dht } as unknown as OverlayNode, SPACE_CLAIMS, options);
}

describe('how many hold the claims of a name', () => {
  it('is known for a while after they were read', async () => {
    const store = storeHeldBy(3);
    expect(store.holdersLately(KEY)).toBe(0);
    await store.read(KEY);
    expect(store.holdersLately(KEY)).toBe(3);
    expect(store.holdersLately(spaceKey('fair'))).toBe(0);
    vi.advanceTimersByTime(100);
    expect([store.holdersLately(KEY, 100), store.holdersLately(KEY, 101)]).toEqual([0, 3]);
    vi.advanceTimersByTime(RECENT_READ_MS - 100);
    expect([store.holdersLately(KEY), store.holdersLately(KEY, 2 * RECENT_READ_MS)]).toEqual([0, 0]);
  });

  it('is remembered of so many names, those read last', async () => {
    const store = storeHeldBy(1);
    for (let name = 0; name <= MAX_RECENT_READS; name += 1) await store.read(spaceKey(`${name}`));
    const known = [0, 1, MAX_RECENT_READS].map((name) => store.holdersLately(spaceKey(`${name}`)));
    expect(known).toEqual([0, 1, 1]);
  });
});
