import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES } from '../../src/broker/limits.js';
import { Passwords, storedPasswordIn } from '../../src/broker/passwords.js';

/** Hashes when the test says so; the hash of a password is the password. */
class Hashing {
  readonly passwords: string[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly hash = (password: string): Promise<Buffer> => {
    this.passwords.push(password);
    return new Promise((resolve) => this.#waiting.push(() => resolve(Buffer.from(password.padEnd(32)))));
  };

  /** Those that have been begun, and whatever they make room for. */
  async finish(): Promise<void> {
    await new Promise(setImmediate);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next();
      await new Promise(setImmediate);
    }
  }
}

describe('passwords', () => {
  it('are hashed a few at a time, and refused when too many wait', async () => {
    const hashing = new Hashing();
    const passwords = new Passwords(hashing.hash);
    const all = Array.from({ length: MAX_CONCURRENT_HASHES + MAX_WAITING_HASHES }, (_, index) =>
      passwords.matches(`${index}`, undefined),
    );
    await expect(passwords.matches('one more', undefined)).rejects.toThrow('passwords are waiting');
    expect(hashing.passwords).toHaveLength(MAX_CONCURRENT_HASHES);
    await hashing.finish();
    expect(hashing.passwords).toHaveLength(all.length);
    expect(new Set(await Promise.all(all))).toEqual(new Set([false]));
    const later = passwords.matches('later', undefined);
    await hashing.finish();
    expect(await later).toBe(false);
  });

  it('that are tried at the same time are hashed once, and those that were right are known', async () => {
    const hashing = new Hashing();
    const storing = new Passwords(hashing.hash).store('secret');
    await hashing.finish();
    const stored = await storing;
    hashing.passwords.length = 0;
    const passwords = new Passwords(hashing.hash);
    const attempts = ['secret', 'wrong', 'secret', 'wrong'].map((text) => passwords.matches(text, stored));
    await hashing.finish();
    expect(await Promise.all(attempts)).toEqual([true, false, true, false]);
    expect(hashing.passwords).toEqual(['secret', 'wrong']);
    expect(await passwords.matches('secret', stored)).toBe(true);
    expect(hashing.passwords).toHaveLength(2);
    const again = passwords.matches('wrong', stored);
    await hashing.finish();
    expect(await again).toBe(false);
    expect(hashing.passwords).toHaveLength(3);
  });

  it('are hashed where there is nobody of that name, too, and never right there', async () => {
    const hashing = new Hashing();
    const attempt = new Passwords(hashing.hash).matches('\0'.repeat(32), undefined);
    await hashing.finish();
    expect(await attempt).toBe(false);
    expect(hashing.passwords).toHaveLength(1);
  });

  it('keep the parameters they were hashed with', async () => {
    const stored = await new Passwords().store('secret');
    expect(storedPasswordIn(JSON.parse(JSON.stringify(stored)))).toEqual(stored);
    expect(await new Passwords().matches('secret', { ...stored, cost: 8_192 })).toBe(false);
    expect(await new Passwords().matches('secret', stored)).toBe(true);
  });

  it('of a hash that was cut or lengthened match nothing', async () => {
    const stored = await new Passwords().store('secret');
    const hash = Buffer.from(stored.hash, 'base64');
    for (const other of [hash.subarray(0, 16), Buffer.concat([hash, randomBytes(1)]), Buffer.alloc(0)]) {
      const damaged = { ...stored, hash: other.toString('base64') };
      expect(await new Passwords().matches('secret', damaged)).toBe(false);
    }
  });

  it.each([undefined, null, 'text', {}, { algorithm: 'md5' }])('are not read from %j', (value) => {
    expect(storedPasswordIn(value)).toBeUndefined();
  });
});
