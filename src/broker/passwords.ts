import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { BrokerError } from './errors.js';
import { MAX_CONCURRENT_HASHES, MAX_PASSWORD_BYTES, MAX_WAITING_HASHES } from './limits.js';

/** What is kept of a password: its hash by scrypt (RFC 7914), and what is needed to compute it again. */
export interface StoredPassword {
  readonly algorithm: 'scrypt';
  /** N, r and p. */
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  /** Both in base64. */
  readonly salt: string;
  readonly hash: string;
}

type HashParameters = Omit<StoredPassword, 'hash'>;
type Scrypt = (password: string, by: HashParameters) => Promise<Buffer>;

/** OWASP's choice for a memory of 16 MiB. Passwords stored with others keep theirs. */
const PARAMETERS = { algorithm: 'scrypt', cost: 16_384, blockSize: 8, parallelization: 5 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Beyond the table of 128 · N · r bytes, some blocks. */
const MEMORY_FACTOR = 2;

/** Nobody's: checked where there is no such user, so that a refusal takes as long. */
const NOBODYS: StoredPassword = {
  ...PARAMETERS,
  salt: Buffer.alloc(SALT_BYTES).toString('base64'),
  hash: Buffer.alloc(HASH_BYTES).toString('base64'),
};

/**
 * Hashes and checks passwords, a few at a time and away from the event loop.
 *
 * Hashing is slow on purpose, and clients connect by the thousand. So a password that was right once is known again by
 * its HMAC under a key that this process makes up and never tells; a wrong one is hashed every time.
 */
export class Passwords {
  readonly #scrypt: Scrypt;
  readonly #key = randomBytes(HASH_BYTES);
  readonly #known = new WeakMap<StoredPassword, Buffer>();
  /** Equal passwords of one user that are tried at the same time are hashed once. */
  readonly #checks = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `scrypt`: for tests. */
  constructor(scrypt: Scrypt = scryptOf) {
    this.#scrypt = scrypt;
  }

  /** @throws BrokerError `precondition-failed` where it is too long */
  async store(password: string): Promise<StoredPassword> {
    if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
      throw new BrokerError('precondition-failed', `password: longer than ${MAX_PASSWORD_BYTES} bytes`);
    }
    const salted = { ...PARAMETERS, salt: randomBytes(SALT_BYTES).toString('base64') };
    const stored = { ...salted, hash: (await this.#hash(password, salted)).toString('base64') };
    this.know(stored, password);
    return stored;
  }

  /** This is the password, so it need not be hashed to be checked. */
  know(stored: StoredPassword, password: string): void {
    this.#known.set(stored, this.#digest(stored, password));
  }

  /**
   * `stored`: undefined where there is nobody of that name.
   *
   * @throws BrokerError `access-refused` when too many wait already
   */
  async matches(password: string, stored: StoredPassword | undefined): Promise<boolean> {
    if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return false;
    const against = stored ?? NOBODYS;
    const digest = this.#digest(against, password);
    const known = this.#known.get(against);
    if (known !== undefined && timingSafeEqual(known, digest)) return true;
    const key = digest.toString('base64');
    let check = this.#checks.get(key);
    if (check === undefined) {
      check = this.#check(password, against, digest).finally(() => this.#checks.delete(key));
      this.#checks.set(key, check);
    }
    return check;
  }

  async #check(password: string, stored: StoredPassword, digest: Buffer): Promise<boolean> {
    const expected = Buffer.from(stored.hash, 'base64');
    const hash = await this.#hash(password, stored);
    const equal = hash.length === expected.length && timingSafeEqual(hash, expected) && stored !== NOBODYS;
    if (equal) this.#known.set(stored, digest);
    return equal;
  }

  async #hash(password: string, by: HashParameters): Promise<Buffer> {
    await this.#turn();
    try {
      return await this.#scrypt(password, by);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Whoever is done gives its place to the next one. */
  async #turn(): Promise<void> {
    if (this.#running < MAX_CONCURRENT_HASHES) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING_HASHES) {
      throw new BrokerError('access-refused', `${MAX_WAITING_HASHES} passwords are waiting to be checked`);
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The salt is in it, so that equal passwords of two users differ. */
  #digest({ salt }: StoredPassword, password: string): Buffer {
    return createHmac('sha256', this.#key).update(`${salt} ${password}`).digest();
  }
}

function scryptOf(password: string, by: HashParameters): Promise<Buffer> {
  const { cost, blockSize, parallelization } = by;
  const maxmem = 128 * blockSize * (cost + parallelization) * MEMORY_FACTOR;
  const salt = Buffer.from(by.salt, 'base64');
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { cost, blockSize, parallelization, maxmem }, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

/** What a store had; undefined where it is none. */
export function storedPasswordIn(value: unknown): StoredPassword | undefined {
  const { algorithm, cost, blockSize, parallelization, salt, hash } = (value ??
    {}) as Partial<StoredPassword>;
  const numbers = [cost, blockSize, parallelization].every((number) => Number.isSafeInteger(number));
  const complete = algorithm === 'scrypt' && numbers && typeof salt === 'string' && typeof hash === 'string';
  return complete ? (value as StoredPassword) : undefined;
}
