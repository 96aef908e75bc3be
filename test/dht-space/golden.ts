import { readFileSync } from 'node:fs';

/**
 * Golden vectors: what another implementation has to make and to understand, octet for octet. In the files, texts that
 * begin with `0x` are octets, and those of digits that end with `n` are integers of 64 bits.
 */
export function golden<T extends { readonly what: string }>(name: string): readonly T[] {
  const text = readFileSync(new URL(`golden/${name}.json`, import.meta.url), 'utf8');
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'string') return value;
    if (/^0x([\da-f]{2})*$/.test(value)) return Buffer.from(value.slice(2), 'hex');
    return /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
  });
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The same value with all its octets as text, so that kinds of arrays of octets do not matter. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${hex(value)}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
