import { maskedCrc32c } from './crc32c.js';
import { VarintReader } from './manifest.js';

/** LevelDB's tables: blocks, each with u8 compression and u32 checksum behind it; at the end where the indexes are. */
const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;

/** Where a block lies, without what is behind it. */
interface BlockHandle {
  readonly offset: number;
  readonly length: number;
}

/**
 * What is wrong with a table that was written without compression; undefined when every block is as it was written.
 * LevelDB looks at a block when it needs it, and takes a damaged index for an absent key.
 */
export function problemOfTable(bytes: Buffer): string | undefined {
  try {
    const footer = bytes.length - FOOTER_BYTES;
    if (footer < 0 || bytes.readBigUInt64LE(bytes.length - 8) !== MAGIC) return 'its end is missing';
    const handles = new VarintReader(bytes, footer);
    const [metaIndex, index] = [readHandle(handles), readHandle(handles)];
    for (const block of [metaIndex, index]) if (!isIntact(bytes, block)) return problemAt(block);
    const damaged = blocksOf(bytes, index).find((block) => !isIntact(bytes, block));
    return damaged && problemAt(damaged);
  } catch (error) {
    if (error instanceof RangeError) return 'its index is not readable';
    throw error;
  }
}

function problemAt({ offset }: BlockHandle): string {
  return `the block at octet ${offset} fails its checksum`;
}

function isIntact(bytes: Buffer, { offset, length }: BlockHandle): boolean {
  const end = offset + length;
  if (end + TRAILER_BYTES > bytes.length) return false;
  return bytes.readUInt32LE(end + 1) === maskedCrc32c(bytes, offset, end + 1);
}

/** The entries of an index block: a key, of which a part is shared with the one before, and where its block lies. */
function blocksOf(bytes: Buffer, { offset, length }: BlockHandle): BlockHandle[] {
  const block = bytes.subarray(offset, offset + length);
  const restarts = block.readUInt32LE(length - 4);
  const reader = new VarintReader(block.subarray(0, length - 4 - 4 * restarts));
  const handles: BlockHandle[] = [];
  while (reader.left > 0) {
    reader.varint();
    const keyBytes = reader.varint();
    const valueBytes = reader.varint();
    reader.take(keyBytes);
    handles.push(readHandle(new VarintReader(reader.take(valueBytes))));
  }
  return handles;
}

function readHandle(reader: VarintReader): BlockHandle {
  return { offset: reader.varint(), length: reader.varint() };
}
