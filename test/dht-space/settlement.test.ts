import { setImmediate as turn } from 'node:timers/promises';
import '../../src/dht-space/promise-polyfill.js';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../src/dht-space/backoff.js';
import { MAX_SYNCED_SPACES, RETRY_CAP_MS, RETRY_FIRST_MS } from '../../src/dht-space/limits.js';
import { Settlement } from '../../src/dht-space/settlement.js';

/** Which of the promises have resolved by now. */
async function resolved(promises: Readonly<Record<string, Promise<unknown>>>): Promise<string[]> {
  const names: string[] = [];
  for (const [name, promise] of Object.entries(promises)) void promise.then(() => names.push(name));
  await turn();
  return names.sort();
}

describe('a settlement', () => {
  it('numbers changes from 1, and one number acknowledges all before it', async () => {
    const settlement = new Settlement();
    expect(settlement.next()).toBe(1);
    const first = settlement.settled();
    expect([settlement.next(), settlement.next()]).toEqual([2, 3]);
    const third = settlement.settled();
    expect(await resolved({ first, third })).toEqual([]);
    settlement.acknowledge(2);
    expect(await resolved({ first, third })).toEqual(['first']);
    settlement.acknowledge(3);
    expect(await resolved({ third })).toEqual(['third']);
  });

  it('is settled while nothing was sent, and stays so when an old number comes again', async () => {
    const settlement = new Settlement();
    expect(await resolved({ before: settlement.settled() })).toEqual(['before']);
    settlement.next();
    settlement.next();
    settlement.acknowledge(2);
    settlement.acknowledge(1);
    settlement.acknowledge(0);
    expect(await resolved({ after: settlement.settled() })).toEqual(['after']);
  });

  it('takes no number that was never sent', () => {
    const settlement = new Settlement();
    expect(() => settlement.acknowledge(1)).toThrow('change 1 was acknowledged and never sent');
    settlement.next();
    expect(() => settlement.acknowledge(2)).toThrow('change 2');
  });

  it('waits for a space to be told of, whichever comes first', async () => {
    const settlement = new Settlement();
    const [early, other] = [settlement.synced('a'), settlement.synced('b')];
    settlement.markSynced('a');
    expect(await resolved({ early, late: settlement.synced('a'), other })).toEqual(['early', 'late']);
  });

  it('remembers for a bounded number of spaces that they were told of before anybody waited', async () => {
    const settlement = new Settlement();
    for (let space = 0; space <= MAX_SYNCED_SPACES; space++) settlement.markSynced(`${space}`);
    const [first, last] = [settlement.synced('0'), settlement.synced(`${MAX_SYNCED_SPACES - 1}`)];
    const beyond = settlement.synced(`${MAX_SYNCED_SPACES}`);
    expect(await resolved({ first, last, beyond })).toEqual(['first', 'last']);
    settlement.markSynced(`${MAX_SYNCED_SPACES}`);
    expect(await resolved({ beyond })).toEqual(['beyond']);
  });

  it('is over with the session: nobody waits for one that is not linked', async () => {
    const settlement = new Settlement();
    settlement.next();
    const before = { settled: settlement.settled(), synced: settlement.synced('a') };
    settlement.end();
    const after = { settledAfter: settlement.settled(), syncedAfter: settlement.synced('b') };
    const all = ['settled', 'settledAfter', 'synced', 'syncedAfter'];
    expect(await resolved({ ...before, ...after })).toEqual(all);
  });

  it('says for how long a change has waited, from the last acknowledgement on', () => {
    const settlement = new Settlement();
    expect(settlement.overdueMs(1000)).toBe(0);
    settlement.next();
    settlement.next();
    expect([settlement.overdueMs(2000), settlement.overdueMs(5000)]).toEqual([0, 3000]);
    settlement.acknowledge(1);
    expect([settlement.overdueMs(6000), settlement.overdueMs(7000)]).toEqual([0, 1000]);
    settlement.acknowledge(2);
    expect(settlement.overdueMs(90_000)).toBe(0);
  });
});

describe('the time before another attempt', () => {
  it('is random below a bound that doubles up to a cap, for ever', () => {
    const bounds = [1, 2, 3, 4, 7, 8, 9, 100, 10_000].map((attempt) => backoffMs(attempt, () => 1));
    expect(bounds).toEqual([250, 500, 1000, 2000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    expect([RETRY_FIRST_MS, RETRY_CAP_MS]).toEqual([250, 30_000]);
    expect([backoffMs(5, () => 0), backoffMs(5, () => 0.5)]).toEqual([0, 2000]);
  });
});
