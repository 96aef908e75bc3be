import { defineConfig } from 'vitest/config';

// Nodes are killed, stalled and started by the dozen: one file at a time leaves them the processors.
export default defineConfig({
  test: { include: ['test/faults/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 60_000, maxWorkers: 1 },
});
