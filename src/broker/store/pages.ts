import type { Level } from './database.js';
import type { KeyRange } from './keys.js';
import { READ_ENTRIES } from './limits.js';

export type StoredRecord = readonly [key: Buffer, value: Buffer];

type Snapshot = ReturnType<Level['snapshot']>;

/** The records of a range in order, some at a time. */
export async function* pagesOf(
  level: Level,
  range: KeyRange,
  options: { readonly values?: boolean; readonly snapshot?: Snapshot; readonly pageEntries?: number } = {},
): AsyncGenerator<readonly StoredRecord[]> {
  const { pageEntries = READ_ENTRIES, ...others } = options;
  const iterator = level.iterator({ ...range, ...others, fillCache: false });
  try {
    for (;;) {
      const page = await iterator.nextv(pageEntries);
      if (page.length === 0) return;
      yield page;
    }
  } finally {
    await iterator.close();
  }
}
