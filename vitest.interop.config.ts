import { defineConfig } from 'vitest/config';

const behaviour = 'test/interop/behaviour/**/*.test.ts';

// Nodes run as processes of their own beside the clients: one file at a time leaves them the processors.
export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 1,
    projects: [
      {
        extends: true,
        test: { name: 'clients', include: ['test/interop/**/*.test.ts'], exclude: [behaviour] },
      },
      {
        extends: true,
        test: {
          name: 'behaviour',
          include: [behaviour],
          globalSetup: 'test/interop/behaviour/start-servers.ts',
          chaiConfig: { truncateThreshold: 0 }, // reply texts are long
        },
      },
    ],
  },
});
