import { maskedCrc32c } from './crc32c.js';

/** LevelDB's log format: blocks of 32 KiB, in them records of u32 checksum, u16 length, u8 type, octets; little-endian. */
const BLOCK_BYTES = 32_768;
const HEAD_BYTES = 7;
const TYPE = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** What a disk writes or does not write as a whole. */
const SECTOR_BYTES = 512;

/**
 * How a log ends:
 *
 * - `whole`: with its last record
 * - `torn`: within a record that was being written when the process or the machine stopped; nobody was told that it is
 *   kept
 * - `damaged`: something is missing or changed that was there; LevelDB itself would pass over it without a word
 */
export type LogEnd =
  | { readonly state: 'whole' | 'torn' }
  | { readonly state: 'damaged'; readonly at: number; readonly reason: string };

interface Damage {
  readonly at: number;
  readonly reason: string;
  /** It can be a write of which some sectors never got to the disk. */
  readonly maybeTorn: boolean;
}

/** Reads a log's records, those in several pieces put together, and tells how it ends. */
export function readLog(bytes: Buffer, record: (bytes: Buffer) => void): LogEnd {
  const reader = new LogReader(bytes, record);
  return reader.read();
}

class LogReader {
  readonly #bytes: Buffer;
  readonly #record: (bytes: Buffer) => void;
  #pieces: Buffer[] = [];
  #damage: Damage | undefined;
  /** A record began after the damage: it was not the last thing written. */
  #goesOn = false;
  #torn = false;

  constructor(bytes: Buffer, record: (bytes: Buffer) => void) {
    this.#bytes = bytes;
    this.#record = record;
  }

  read(): LogEnd {
    for (let start = 0; start < this.#bytes.length; start += BLOCK_BYTES) {
      this.#block(start, Math.min(start + BLOCK_BYTES, this.#bytes.length));
    }
    const damage = this.#damage;
    if (damage === undefined) return { state: this.#torn || this.#pieces.length > 0 ? 'torn' : 'whole' };
    if (damage.maybeTorn && !this.#goesOn) return { state: 'torn' };
    return { state: 'damaged', at: damage.at, reason: damage.reason };
  }

  #block(start: number, end: number): void {
    let at = start;
    while (end - at >= HEAD_BYTES) {
      const length = this.#bytes.readUInt16LE(at + 4);
      const next = at + HEAD_BYTES + length;
      if (next > end) {
        // Cut off where the file ends, unless the length leads out of a whole block, which is what no writer does.
        if (end < start + BLOCK_BYTES && next <= start + BLOCK_BYTES) this.#torn = true;
        else this.#damaged(at, end, 'the length of a record is wrong');
        return;
      }
      const sum = maskedCrc32c(this.#bytes, at + 6, next);
      if (sum !== this.#bytes.readUInt32LE(at)) {
        this.#damaged(at, end, 'a record fails its checksum');
        return;
      }
      this.#piece(at, this.#bytes.readUInt8(at + 6), this.#bytes.subarray(at + HEAD_BYTES, next));
      at = next;
    }
    // Between the last record and the end of a block there are zeros.
    if (end < start + BLOCK_BYTES && at < end) this.#torn = true;
  }

  #piece(at: number, type: number, octets: Buffer): void {
    const begins = type === TYPE.full || type === TYPE.first;
    if (begins && this.#damage !== undefined) this.#goesOn = true;
    if (this.#damage !== undefined) return;
    if (begins ? this.#pieces.length > 0 : this.#pieces.length === 0) {
      this.#damage = { at, reason: 'a part of a record is missing', maybeTorn: false };
      return;
    }
    this.#pieces.push(octets);
    if (type === TYPE.full || type === TYPE.last) {
      const [only = octets] = this.#pieces;
      this.#record(this.#pieces.length === 1 ? only : Buffer.concat(this.#pieces));
      this.#pieces = [];
    } else if (type !== TYPE.first && type !== TYPE.middle) {
      this.#damage = { at, reason: `a record has the unknown type ${type}`, maybeTorn: false };
    }
  }

  /** Nothing in the rest of the block can be told from chance. */
  #damaged(at: number, end: number, reason: string): void {
    this.#damage ??= { at, reason, maybeTorn: hasEmptySector(this.#bytes, at, end) };
  }
}

/** Whether a sector, or what of one lies in the range, is nothing but zeros. */
function hasEmptySector(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const sectorEnd = Math.min(at - (at % SECTOR_BYTES) + SECTOR_BYTES, end);
    if (bytes.subarray(at, sectorEnd).every((octet) => octet === 0)) return true;
    at = sectorEnd;
  }
  return false;
}
