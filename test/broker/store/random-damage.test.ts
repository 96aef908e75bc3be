import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random, seed } from '../../support/random.js';
import { contentsOf, entry, LARGE_BYTES, openStore, synced, temporaryFolder } from './support.js';

const ROUNDS = 30;
const ENTRIES = 120;

interface Killed {
  readonly dataDir: string;
  readonly id: number;
  readonly expected: readonly string[];
}

/** The data directory of a node that was killed, with tables and a log; each entry in a group of its own. */
async function killed(): Promise<Killed> {
  const dataDir = temporaryFolder();
  const { store: first } = await openStore(dataDir);
  const id = first.nextQueueId();
  const keep = async (store: typeof first, from: number, to: number): Promise<void> => {
    const { storage } = store.openQueue(id);
    for (let position = from; position < to; position++) {
      storage.keep(entry(position, position % 3 === 0 ? 'x'.repeat(LARGE_BYTES) : `m${position}`));
      await synced(store);
    }
  };
  await keep(first, 0, ENTRIES / 2);
  await first.close();
  const { store } = await openStore(dataDir);
  await keep(store, ENTRIES / 2, ENTRIES);
  const expected = await contentsOf(store.openQueue(id).storage);
  const copy = join(dirname(dataDir), 'killed');
  cpSync(dataDir, copy, { recursive: true });
  return { dataDir: copy, id, expected };
}

function copyOf({ dataDir }: Killed, round: number): string {
  const copy = join(dirname(dataDir), `round-${round}`);
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}

/** What a start finds in the queue; undefined where it refuses the store as damaged. */
async function found(dataDir: string, id: number): Promise<string[] | undefined> {
  try {
    const { store } = await openStore(dataDir);
    const texts = await contentsOf(store.openQueue(id).storage);
    await store.close();
    return texts;
  } catch (error) {
    expect(error).toMatchObject({ name: 'StorageError', code: 'damaged' });
    return undefined;
  }
}

describe(`a store (SEED=${seed})`, () => {
  it('in which any octet was changed is refused, or has all that was kept', async () => {
    const random = new Random(seed);
    const store = await killed();
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const copy = copyOf(store, round);
      const names = readdirSync(join(copy, 'store')).filter((name) => !/^LO(CK|G)/.test(name));
      const path = join(copy, 'store', random.pick(names));
      const bytes = readFileSync(path);
      const at = random.int(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
      writeFileSync(path, bytes);
      const texts = await found(copy, store.id);
      if (texts === undefined) refused++;
      else expect(texts, `${path}, octet ${at}`).toEqual(store.expected);
    }
    expect(refused).toBeGreaterThan(ROUNDS / 2);
  });

  it('whose log ends anywhere, as after a crash, has all that came before, in order', async () => {
    const random = new Random(seed);
    const store = await killed();
    for (let round = 0; round < ROUNDS; round++) {
      const copy = copyOf(store, round);
      const log = readdirSync(join(copy, 'store')).find((name) => name.endsWith('.log')) ?? '';
      const path = join(copy, 'store', log);
      const bytes = readFileSync(path);
      const end = random.int(bytes.length + 1);
      writeFileSync(path, bytes.subarray(0, end));
      const texts = await found(copy, store.id);
      expect(texts, `${end} of ${bytes.length} octets`).toEqual(store.expected.slice(0, texts?.length));
      expect(texts?.length).toBeGreaterThanOrEqual(ENTRIES / 2);
    }
  });
});
