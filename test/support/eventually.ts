const POLL_INTERVAL_MS = 10;

/**
 * Waits until `check` neither throws nor returns false, so that it can be written as an expectation. When the
 * time is over, what it threw last is the test's failure.
 */
export async function eventually(check: () => unknown, timeoutMs = 15_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const failure = await failureOf(check);
    if (failure === undefined) return;
    if (performance.now() >= deadline) throw failure;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

async function failureOf(check: () => unknown): Promise<unknown> {
  try {
    return (await check()) === false ? new Error(`not within the time limit: ${check}`) : undefined;
  } catch (error) {
    return error ?? new Error('nothing was thrown');
  }
}
