import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { heapEntryLimit, parseMemoryLimit } from '../src/memory-limit.js';

describe('a memory limit', () => {
  it.each([
    ['1', 1],
    ['1048576', 1_048_576],
    ['64KiB', 65_536],
    ['512MiB', 536_870_912],
    ['512mib', 536_870_912],
    ['1.5GiB', 1_610_612_736],
    [' 2 GiB ', 2_147_483_648],
    ['0.5KiB', 512],
    ['1.9', 1],
    ['5MB', 5_000_000],
    ['50 kb', 50_000],
  ])('of %s is %d bytes', (text, bytes) => {
    expect(parseMemoryLimit(text)).toBe(bytes);
  });

  it('of a percentage is that part of the memory that the process may use', () => {
    const all = parseMemoryLimit('100%') ?? 0;
    expect(all).toBeGreaterThan(0);
    expect(all).toBeLessThanOrEqual(totalmem());
    expect(parseMemoryLimit('40%')).toBe(Math.floor(all * 0.4));
    expect(parseMemoryLimit('0.5 %')).toBe(Math.floor(all * 0.005));
  });

  it.each([
    '',
    'much',
    '0',
    '0%',
    '0.4',
    '-1',
    '100.1%',
    '1e6',
    '0x10',
    '.5GiB',
    '5 M',
    '5TiB',
    '1,5GiB',
    '40%%',
    '9007199254740993',
    '9'.repeat(400),
  ])('of %s is none', (text) => {
    expect(parseMemoryLimit(text)).toBeUndefined();
  });

  it('in entries leaves the heap room for other things', () => {
    const heapBytes = getHeapStatistics().heap_size_limit;
    expect(heapEntryLimit() * 400).toBeGreaterThan(heapBytes / 2);
    expect(heapEntryLimit() * 400).toBeLessThan(heapBytes * 0.7);
  });
});
