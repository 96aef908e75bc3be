import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLevel } from '../../../src/broker/store/database.js';
import { contentsOf, entry, LARGE_BYTES, openStore, synced, temporaryFolder } from './support.js';

const QUEUE_ENTRIES = 300;

/** What a node had on its disk when it died or stopped: a table, a log with several groups, small and large messages. */
async function storeOf(end: 'stopped' | 'killed'): Promise<{ dataDir: string; id: number }> {
  const dataDir = temporaryFolder();
  const { store } = await openStore(dataDir);
  const id = store.nextQueueId();
  const { storage } = store.openQueue(id);
  for (let position = 0; position < QUEUE_ENTRIES; position++)
    storage.keep(entry(position, `in a table ${position}`));
  await store.close();
  const { store: again } = await openStore(dataDir);
  const { storage: reopened } = again.openQueue(id);
  for (let position = QUEUE_ENTRIES; position < QUEUE_ENTRIES + 40; position++) {
    reopened.keep(entry(position, 'x'.repeat(LARGE_BYTES)));
    await synced(again);
  }
  if (end === 'stopped') {
    await again.close();
    return { dataDir, id };
  }
  const copy = join(dirname(dataDir), 'killed');
  cpSync(dataDir, copy, { recursive: true });
  return { dataDir: copy, id };
}

function filesOf(dataDir: string): Record<string, string> {
  const names = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && !/^(LOCK|LOG|LOG\.old)$/.test(file.name))
    .map((file) => join(file.parentPath, file.name));
  return Object.fromEntries(names.map((name) => [name, readFileSync(name).toString('base64')]));
}

/** The one file in the store's folder with such a name. */
function file(dataDir: string, pattern: RegExp): string {
  const names = readdirSync(join(dataDir, 'store'))
    .filter((name) => pattern.test(name))
    .sort();
  const name = names.at(-1);
  if (name === undefined) throw new Error(`no file ${pattern}`);
  return join(dataDir, 'store', name);
}

/** Changes an octet; from the end where negative. */
function change(path: string, offset: number): void {
  const bytes = readFileSync(path);
  const at = offset < 0 ? bytes.length + offset : offset;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

function cut(path: string, bytes: number): void {
  truncateSync(path, readFileSync(path).length - bytes);
}

const LOG = /\.log$/;
const TABLE = /\.ldb$/;
const MANIFEST = /^MANIFEST/;

const DAMAGES: readonly [name: string, damage: (dataDir: string) => void, text: RegExp][] = [
  ['that has lost CURRENT', (dir) => rmSync(join(dir, 'store/CURRENT')), /CURRENT: the file is missing/],
  ['whose CURRENT is empty', (dir) => truncateSync(join(dir, 'store/CURRENT')), /CURRENT: it/],
  ['that has lost its manifest', (dir) => rmSync(file(dir, MANIFEST)), /MANIFEST-\d+: the file is missing/],
  [
    'whose manifest has a changed octet',
    (dir) => change(file(dir, MANIFEST), 20),
    /MANIFEST-\d+: a record fails/,
  ],
  ['whose manifest is empty', (dir) => truncateSync(file(dir, MANIFEST)), /MANIFEST-\d+: it/],
  ['that has lost a table', (dir) => rmSync(file(dir, TABLE)), /\.ldb: the file is missing/],
  ['whose table is cut short', (dir) => cut(file(dir, TABLE), 1), /\.ldb: it has \d+ octets, and had \d+/],
  [
    'whose table has a changed octet in its data',
    (dir) => change(file(dir, TABLE), 100),
    /\.ldb: the block at octet 0/,
  ],
  [
    'whose table has a changed octet in its index',
    (dir) => change(file(dir, TABLE), -60),
    /\.ldb: the block at octet/,
  ],
  [
    'whose table has a changed octet at its end',
    (dir) => change(file(dir, TABLE), -1),
    /\.ldb: its end is missing/,
  ],
  ['that has lost its log', (dir) => rmSync(file(dir, LOG)), /\.log: the file is missing/],
  [
    'whose log has a changed octet in its first record',
    (dir) => change(file(dir, LOG), 50),
    /\.log: a record fails/,
  ],
  [
    'whose log has a changed octet in the middle',
    (dir) => change(file(dir, LOG), 100_000),
    /\.log: a record fails/,
  ],
  [
    'whose log has a changed octet in its last record',
    (dir) => change(file(dir, LOG), -10),
    /\.log: a record fails/,
  ],
  ['whose log has a wrong length in the middle', (dir) => change(file(dir, LOG), 32_768 + 5), /\.log: /],
  ['whose log lacks a block', (dir) => lackBlock(file(dir, LOG)), /\.log: records are missing/],
  ['whose folder is gone', (dir) => rmSync(join(dir, 'store'), { recursive: true }), /the folder is missing/],
  ['whose folder is empty', emptyFolder, /CURRENT: the file is missing/],
  ['that has lost its marker', (dir) => rmSync(join(dir, 'store.json')), /store\.json: the file is missing/],
  [
    'whose marker is empty',
    (dir) => truncateSync(join(dir, 'store.json')),
    /store\.json: it is not readable/,
  ],
  [
    'whose marker is no marker',
    (dir) => writeFileSync(join(dir, 'store.json'), '{}'),
    /store\.json: it is not/,
  ],
];

function emptyFolder(dataDir: string): void {
  for (const name of readdirSync(join(dataDir, 'store'))) rmSync(join(dataDir, 'store', name));
}

function lackBlock(path: string): void {
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 32_768), bytes.subarray(65_536)]));
}

describe.each(['stopped', 'killed'] as const)('a store of a node that was %s', (end) => {
  it.each(DAMAGES)('%s is not opened, and left as it is', async (_, damage, text) => {
    const { dataDir } = await storeOf(end);
    damage(dataDir);
    const before = filesOf(dataDir);
    const opening = openStore(dataDir);
    await expect(opening).rejects.toMatchObject({ name: 'StorageError', code: 'damaged' });
    // The sizes of a store that was stopped are known: it has other words for some of it.
    if (end === 'killed') await expect(opening).rejects.toThrow(text);
    await expect(opening).rejects.toThrow(
      new RegExp(
        `^the store in '${dataDir}' is damaged: .*It was left as it is.*move it away to start with an empty`,
      ),
    );
    expect(filesOf(dataDir)).toEqual(before);
  });

  it('has all that was kept where nothing is damaged', async () => {
    const { dataDir, id } = await storeOf(end);
    const { store } = await openStore(dataDir);
    expect(await contentsOf(store.openQueue(id).storage)).toHaveLength(QUEUE_ENTRIES + 40);
  });

  it('of a newer format is not opened, and the text says what to do', async () => {
    const { dataDir } = await storeOf(end);
    writeFileSync(join(dataDir, 'store.json'), '{"format":2,"state":"upgraded"}');
    const opening = openStore(dataDir);
    await expect(opening).rejects.toMatchObject({ code: 'newer-format' });
    await expect(opening).rejects.toThrow(
      /format 2, and this version of xspace knows formats up to 1.*Start the version/,
    );
  });
});

describe('a store of a node that was killed', () => {
  it.each([
    ['within a record', (path: string) => cut(path, 10)],
    ['within the head of a record', (path: string) => cut(path, readFileSync(path).length - (32_768 + 3))],
    ['with a sector that never got to the disk', (path: string) => zero(path, 4_096)],
  ])('as its log was being written, %s, has all that came before', async (_, tear) => {
    const { dataDir, id } = await storeOf('killed');
    tear(file(dataDir, LOG));
    const { store } = await openStore(dataDir);
    const texts = await contentsOf(store.openQueue(id).storage);
    expect(texts.length).toBeLessThan(QUEUE_ENTRIES + 40);
    expect(texts.slice(0, QUEUE_ENTRIES + 1).map((text) => text.slice(0, 5))).toHaveLength(QUEUE_ENTRIES + 1);
    expect(texts.map((text) => Number.parseInt(text, 10))).toEqual(texts.map((_, index) => index));
  });

  it('as it was being written is damaged where the log is cut short after the node was stopped', async () => {
    const { dataDir } = await storeOf('stopped');
    cut(file(dataDir, LOG), 10);
    await expect(openStore(dataDir)).rejects.toThrow(/\.log: it has \d+ octets, and had \d+/);
  });

  it('as it was opening a store that was stopped has all that was kept', async () => {
    const { dataDir, id } = await storeOf('stopped');
    const copy = join(dirname(dataDir), 'killed while opening');
    await openStore(dataDir, {
      createLevel: (location) => {
        const level = createLevel(location);
        const open = level.open.bind(level);
        level.open = async (options: Parameters<typeof open>[0] = {}) => {
          await open(options);
          cpSync(dataDir, copy, { recursive: true });
        };
        return level;
      },
    });
    const { store } = await openStore(copy);
    expect(await contentsOf(store.openQueue(id).storage)).toHaveLength(QUEUE_ENTRIES + 40);
  });

  it('before it had made its store starts with an empty one', async () => {
    const { dataDir } = await storeOf('stopped');
    writeFileSync(join(dataDir, 'store.json'), '{"format":1,"state":"creating","files":{}}');
    rmSync(join(dataDir, 'store'), { recursive: true });
    const { store } = await openStore(dataDir);
    expect(store.definitions).toEqual([]);
  });
});

/** So many octets in the last record become zeros. */
function zero(path: string, bytes: number): void {
  const content = readFileSync(path);
  content.fill(0, content.length - bytes - 100, content.length - 100);
  writeFileSync(path, content);
}

describe('a store whose files are as LevelDB wrote them', () => {
  /** Changes records behind the store's back. */
  async function tamper(
    dataDir: string,
    change: (key: Buffer, value: Buffer) => Buffer | undefined,
  ): Promise<void> {
    const level = createLevel(join(dataDir, 'store'));
    await level.open();
    for await (const [key, value] of level.iterator()) {
      const changed = change(key, value);
      if (changed === undefined) await level.del(key);
      else if (changed !== value) await level.put(key, changed);
    }
    await level.close();
    const marker = JSON.parse(readFileSync(join(dataDir, 'store.json'), 'utf8'));
    writeFileSync(join(dataDir, 'store.json'), JSON.stringify({ ...marker, state: 'open', files: {} }));
  }

  function flipped(value: Buffer): Buffer {
    const copy = Buffer.from(value);
    copy[2] = (copy[2] ?? 0) ^ 1;
    return copy;
  }

  it.each([
    ['meta', 1],
    ['a queue', 3],
    ['an entry', 4],
  ])('and in which the record of %s was changed is damaged', async (_, prefix) => {
    const { dataDir } = await storeOf('stopped');
    await tamper(dataDir, (key, value) => (key[0] === prefix ? flipped(value) : value));
    await expect(openStore(dataDir)).rejects.toThrow(
      /the record with the key 0\d[0-9a-f]* is not as it was written/,
    );
  });

  it('and which lacks a large content is damaged', async () => {
    const { dataDir } = await storeOf('stopped');
    let first = true;
    await tamper(dataDir, (key, value) => {
      if (key[0] !== 5 || !first) return value;
      first = false;
      return undefined;
    });
    await expect(openStore(dataDir)).rejects.toThrow(/1 of 40 large contents are missing/);
  });

  it('and in which a large content was changed opens, and does not give it out', async () => {
    const { dataDir, id } = await storeOf('stopped');
    await tamper(dataDir, (key, value) => (key[0] === 5 ? flipped(value) : value));
    const { store } = await openStore(dataDir);
    const { storage } = store.openQueue(id);
    const reading = storage.read(0, QUEUE_ENTRIES, { messages: 10, bytes: 1e9 });
    await expect(reading).rejects.toMatchObject({ name: 'StorageError', code: 'damaged' });
  });
});

describe('a store that another node has', () => {
  it('is not opened, and the text says so', async () => {
    const dataDir = temporaryFolder();
    await openStore(dataDir);
    const opening = openStore(dataDir);
    await expect(opening).rejects.toMatchObject({ code: 'locked' });
    await expect(opening).rejects.toThrow(/is in use: another process has it.*--data-dir/);
  });

  it('can be opened once the other has closed it', async () => {
    const dataDir = temporaryFolder();
    const { store } = await openStore(dataDir);
    await store.close();
    await openStore(dataDir);
    expect(existsSync(join(dataDir, 'store/CURRENT'))).toBe(true);
  });
});

describe('a place where no store can be', () => {
  it('is told', async () => {
    const dataDir = join('/dev/null', 'data');
    await expect(openStore(dataDir)).rejects.toThrow(
      /^the store in '\/dev\/null\/data' cannot be opened: .*ENOTDIR/,
    );
  });
});
