import { afterAll, afterEach, beforeEach } from 'vitest';

type Cleanup = () => unknown;

// Vitest evaluates this file once per test file, so these hooks belong to the file that imports it.
const cleanups: Cleanup[] = [];
let testStart = 0;

beforeEach(() => {
  testStart = cleanups.length;
});
afterEach(() => runDownTo(testStart));
afterAll(() => runDownTo(0));

/**
 * Runs `cleanup` after the test that asks for it, or after the file's last test when a `beforeAll` asks; the newest
 * first. What a test opened is closed where it was opened, and no test has to remember.
 */
export function teardown(cleanup: Cleanup): void {
  cleanups.push(cleanup);
}

async function runDownTo(length: number): Promise<void> {
  const failures: unknown[] = [];
  while (cleanups.length > length) {
    try {
      await cleanups.pop()?.();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `teardown failed: ${failures.join('; ')}`);
}
