import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { getHeapStatistics } from 'node:v8';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  ...{ KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KIB: 1024, MIB: 1024 ** 2, GIB: 1024 ** 3 },
};

/** How much of V8's heap may be taken by the objects that stand for messages. */
const HEAP_SHARE = 0.6;
/** What these objects take for one queued message, as measured, rounded up. */
const HEAP_BYTES_PER_ENTRY = 400;

/**
 * Reads a limit: a percentage of the memory that this process may use, or bytes with an optional unit.
 *
 * @returns bytes; undefined when it is neither
 */
export function parseMemoryLimit(text: string): number | undefined {
  const [, digits] = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim()) ?? [];
  if (digits === undefined) return parseBytes(text);
  const amount = Number(digits);
  return amount > 100 ? undefined : atLeastOne((amount * availableBytes()) / 100);
}

/** Reads a number of bytes with an optional unit; undefined when it is none. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMG]i?B|)$/i.exec(text.trim()) ?? [];
  return digits === undefined ? undefined : atLeastOne(Number(digits) * (UNITS[unit.toUpperCase()] ?? 0));
}

function atLeastOne(amount: number): number | undefined {
  const bytes = Math.floor(amount);
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** How many messages may be held before their objects, rather than their bytes, fill V8's heap. */
export function heapEntryLimit(): number {
  return Math.floor((getHeapStatistics().heap_size_limit * HEAP_SHARE) / HEAP_BYTES_PER_ENTRY);
}

/** The machine's memory, or what the process is confined to. */
function availableBytes(): number {
  const confined = constrainedMemory();
  return confined > 0 && confined < totalmem() ? confined : totalmem();
}
