/** A message is not of the protocol. The text names the field, what is expected and what was found. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
}

/** Longer values are cut in texts. */
const MAX_DESCRIBED_UNITS = 60;
/** Half a surrogate pair, which JSON can spell and UTF-8 cannot. */
const NOT_UTF8 = /\p{Surrogate}/u;

/** @throws MessageError when the octets are no JSON object, or too many */
export function parseObject(octets: Uint8Array, maxBytes: number): Fields {
  if (octets.length > maxBytes) {
    throw new MessageError(`message: expected at most ${maxBytes} octets, found ${octets.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets));
  } catch (error) {
    throw new MessageError('message: expected JSON in UTF-8', { cause: error });
  }
  return new Fields(value, '');
}

/** Reads the fields of an object that came over the wire. Fields that nobody asks for are skipped. */
export class Fields {
  readonly #object: object;
  readonly #path: string;

  /** `path`: how the object is called in texts; empty for a message itself. */
  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw mismatch(path === '' ? 'message' : `field '${path}'`, 'an object', value);
    }
    this.#object = value;
    this.#path = path;
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  /** A field that may be absent. The value null is none that any field has. */
  optional<T>(name: string, read: (name: string) => T): T | undefined {
    return this.has(name) ? read(name) : undefined;
  }

  text(name: string, maxBytes: number, minBytes = 1): string {
    const value = this.#get(name);
    const expected = `a string of ${minBytes} to ${maxBytes} octets of UTF-8`;
    if (typeof value !== 'string' || NOT_UTF8.test(value)) throw this.mismatch(name, expected);
    const bytes = Buffer.byteLength(value);
    if (bytes < minBytes || bytes > maxBytes) throw this.mismatch(name, expected);
    return value;
  }

  matching(name: string, pattern: RegExp, expected: string): string {
    const value = this.#get(name);
    if (typeof value !== 'string' || !pattern.test(value)) throw this.mismatch(name, expected);
    return value;
  }

  oneOf<const T extends string>(name: string, words: readonly T[]): T {
    const value = this.#get(name);
    const word = words.find((one) => one === value);
    if (word === undefined) throw this.mismatch(name, words.map((one) => `'${one}'`).join(' or '));
    return word;
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#get(name);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw this.mismatch(name, `an integer from ${min} to ${max}`);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#get(name);
    if (typeof value !== 'boolean') throw this.mismatch(name, 'true or false');
    return value;
  }

  object(name: string): Fields {
    return new Fields(this.#get(name), this.#pathOf(name));
  }

  /** An array of objects. */
  objects(name: string): Fields[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) throw this.mismatch(name, 'an array');
    return value.map((element, index) => new Fields(element, `${this.#pathOf(name)}[${index}]`));
  }

  mismatch(name: string, expected: string): MessageError {
    return mismatch(`field '${this.#pathOf(name)}'`, expected, this.#get(name));
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? (this.#object as Record<string, unknown>)[name] : undefined;
  }

  #pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

function mismatch(what: string, expected: string, found: unknown): MessageError {
  return new MessageError(`${what}: expected ${expected}, found ${describe(found)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  if (text.length <= MAX_DESCRIBED_UNITS) return text;
  return `${text.slice(0, MAX_DESCRIBED_UNITS).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
