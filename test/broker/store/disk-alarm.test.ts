import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskAlarm } from '../../../src/broker/store/disk-alarm.js';
import { teardown } from '../../support/teardown.js';

const LIMIT_BYTES = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An alarm on a disk whose free space the test decides. */
async function start(freeBytes: number) {
  const disk = { freeBytes: freeBytes as number | Error };
  const log: string[] = [];
  const at = (level: string) => (_: object, text: string) => void log.push(`${level} ${text}`);
  const alarm = new DiskAlarm({
    limitBytes: LIMIT_BYTES,
    path: '/data',
    logger: { info: at('info'), warn: at('warn'), error: at('error') },
    intervalMs: 100,
    freeBytes: async () => {
      if (disk.freeBytes instanceof Error) throw disk.freeBytes;
      return disk.freeBytes;
    },
  });
  const changes: boolean[] = [];
  alarm.onChange((high) => changes.push(high));
  await alarm.start();
  teardown(() => alarm.stop());
  const becomes = async (bytes: number | Error): Promise<void> => {
    disk.freeBytes = bytes;
    await vi.advanceTimersByTimeAsync(100);
  };
  return { alarm, changes, log, becomes };
}

describe('the disk alarm', () => {
  it('is raised below the limit, and ends when as much as the limit is free again', async () => {
    const { alarm, changes, log, becomes } = await start(LIMIT_BYTES);
    expect(alarm.high).toBe(false);
    await becomes(LIMIT_BYTES - 1);
    await becomes(LIMIT_BYTES - 500);
    expect(alarm.high).toBe(true);
    await becomes(LIMIT_BYTES);
    expect(changes).toEqual([true, false]);
    expect(log).toEqual(['warn the disk is short of space', 'warn the disk is free again']);
  });

  it('is raised from the start where there is too little', async () => {
    expect((await start(LIMIT_BYTES - 1)).alarm.high).toBe(true);
  });

  it('is raised while the store cannot write, however much is free', async () => {
    const { alarm, changes, becomes } = await start(LIMIT_BYTES);
    alarm.failing = true;
    await becomes(0);
    alarm.failing = false;
    expect(alarm.high).toBe(true);
    await becomes(LIMIT_BYTES);
    expect(changes).toEqual([true, false]);
  });

  it('stays as it is while the free space cannot be told, which is logged once', async () => {
    const { alarm, changes, log, becomes } = await start(0);
    await becomes(new Error('EIO'));
    await becomes(new Error('EIO'));
    expect(alarm.high).toBe(true);
    await becomes(LIMIT_BYTES);
    expect(changes).toEqual([true, false]);
    expect(log.filter((line) => line.startsWith('error'))).toEqual([
      'error the free space of the disk cannot be told',
    ]);
  });

  it('tells nobody any more once it is stopped', async () => {
    const { alarm, changes, becomes } = await start(0);
    alarm.stop();
    await becomes(LIMIT_BYTES);
    expect(alarm.high).toBe(true);
    expect(changes).toEqual([true]);
  });
});
