import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'test/faults/**'],
    testTimeout: 20_000,
    // More than there are processors on a small machine: many tests mostly wait.
    maxWorkers: 3,
  },
});
