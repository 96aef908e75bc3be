import { defineConfig } from 'vitest/config';

// Nodes run as processes of their own beside the clients: one file at a time leaves them the processors.
export default defineConfig({
  test: { include: ['test/interop/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 30_000, maxWorkers: 1 },
});
