import { pino } from 'pino';
import type { MemoryPressure } from '../../src/overlay/index.js';

/** What implementations are given, for tests that do not look at it. `LOG_LEVEL=debug` shows what happens. */
export const quietLogger = pino({ level: process.env.LOG_LEVEL ?? 'silent' });

export const unlimitedMemory: MemoryPressure = {
  high: false,
  add: () => {},
  onChange: () => () => {},
};
