/** What LevelDB's manifest says of its files. */
export interface Manifest {
  /** Tables in use, and how many octets each has. */
  readonly tables: ReadonlyMap<number, number>;
  /** Logs of this number and higher ones are not in tables yet. The one of this number was there first. */
  readonly logNumber: number;
  /** All changes up to this one, at least, were made. */
  readonly lastSequence: number;
}

const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9,
} as const;

/** The changes that a manifest consists of, one after the other. */
export class ManifestReader {
  readonly #tables = new Map<number, number>();
  #logNumber = 0;
  #lastSequence = 0;

  /** @throws RangeError when this is no record of a manifest */
  record(bytes: Buffer): void {
    const reader = new VarintReader(bytes);
    while (reader.left > 0) this.#field(reader.varint(), reader);
  }

  get manifest(): Manifest {
    return { tables: this.#tables, logNumber: this.#logNumber, lastSequence: this.#lastSequence };
  }

  #field(tag: number, reader: VarintReader): void {
    switch (tag) {
      case TAG.logNumber:
        this.#logNumber = reader.varint();
        break;
      case TAG.lastSequence:
        this.#lastSequence = reader.varint();
        break;
      case TAG.nextFile:
      case TAG.previousLog:
        reader.varint();
        break;
      case TAG.comparator:
        reader.octets();
        break;
      case TAG.compactPointer:
        reader.varint();
        reader.octets();
        break;
      case TAG.deletedFile:
        reader.varint();
        this.#tables.delete(reader.varint());
        break;
      case TAG.newFile: {
        reader.varint();
        this.#tables.set(reader.varint(), reader.varint());
        reader.octets();
        reader.octets();
        break;
      }
      default:
        throw new RangeError(`no field of a manifest has the tag ${tag}`);
    }
  }
}

/** Reads the numbers and strings of LevelDB's files. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Seven bits per octet, the lowest first. */
  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const octet = this.#bytes.readUInt8(this.#at++);
      value += (octet & 0x7f) * factor;
      if (octet < 0x80) return value;
    }
  }

  octets(): Buffer {
    return this.take(this.varint());
  }

  take(length: number): Buffer {
    if (length > this.left) throw new RangeError('it ends too early');
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}
