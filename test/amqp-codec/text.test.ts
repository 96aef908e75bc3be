import { isUtf8 } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { decodeMethod, decodeTable, encodeMethod, encodeTable } from '../../src/amqp-codec/index.js';
import { TEXT_CACHE_SLOTS } from '../../src/amqp-codec/limits.js';
import { Random, seed } from '../support/random.js';
import { withLength } from './octets.js';
import { RandomValues } from './random-values.js';

/** Octets as the value of a table's entry: decoded, and encoded again. */
function throughTable(octets: Buffer) {
  const bytes = Buffer.concat([Buffer.from('\x01vS'), withLength(octets)]);
  const table = decodeTable(bytes, 0, bytes.length);
  return { text: table.v, octets: encodeTable(table).subarray(bytes.length - octets.length) };
}

/** Octets as a short string of a method, which must be UTF-8. */
function throughMethod(octets: Buffer): string {
  const head = Buffer.from('003c001500', 'hex');
  head.writeUInt8(octets.length, 4);
  const method = decodeMethod(Buffer.concat([head, octets]), 0, head.length + octets.length);
  return method.name === 'basic.consume-ok' ? method.arguments.consumerTag : '';
}

describe('strings', () => {
  it.each([
    ['an octet that begins no character', 'ff', '\udcff'],
    ['a character cut off', 'e282', '\udce2\udc82'],
    ['a character cut off by another', 'e28261', '\udce2\udc82a'],
    ['octets that continue nothing', '6180bf62', 'a\udc80\udcbfb'],
    ['an overlong form', 'c080', '\udcc0\udc80'],
    ['a long overlong form', 'e08080f0808080', '\udce0\udc80\udc80\udcf0\udc80\udc80\udc80'],
    ['half of a surrogate pair', 'eda0bd', '\udced\udca0\udcbd'],
    ['a character above U+10FFFF', 'f4908080', '\udcf4\udc90\udc80\udc80'],
    ['an octet between characters', 'c3a9ff f09f9880', 'é\udcff😀'],
    ['the replacement character itself', 'efbfbd', '\ufffd'],
    ['the replacement character beside an octet', 'efbfbd80', '\ufffd\udc80'],
    ['the outermost characters of each length', '00 7f c280 dfbf e0a080 efbfbf f0908080 f48fbfbf', undefined],
  ])('keep %s', (_what, hex, expected) => {
    const octets = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const result = throughTable(octets);
    expect(result.octets).toEqual(octets);
    expect(result.text).toBe(expected ?? octets.toString());
  });

  it(`keep any octets, and differ where the octets do (SEED=${seed})`, () => {
    const random = new Random(seed);
    const values = new RandomValues(random);
    const seen = new Map<unknown, Buffer>();
    for (let round = 0; round < 5000; round++) {
      const octets =
        random.int(2) === 0 ? values.bytes(6) : Buffer.concat([Buffer.from(values.text(3)), values.bytes(2)]);
      const result = throughTable(octets);
      expect(result.octets.equals(octets)).toBe(true);
      expect((seen.get(result.text) ?? octets).equals(octets)).toBe(true);
      seen.set(result.text, octets);
      if (isUtf8(octets)) expect(throughMethod(octets)).toBe(result.text);
      else expect(() => throughMethod(octets)).toThrow(/Malformed UTF-8/);
    }
  });

  it('are right however many there are, and whatever was read before', () => {
    const texts = Array.from({ length: 3 * TEXT_CACHE_SLOTS }, (_, index) => `device.${index}.temperature`);
    texts.push('', 'é', 'Ã©', '\u00e9'.normalize('NFD'), 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(255));
    for (const text of [...texts, ...texts]) {
      expect(throughMethod(Buffer.from(text))).toBe(text);
    }
  });

  it(`are told apart from octets with the numbers of their characters (SEED=${seed})`, () => {
    const random = new Random(seed);
    // Enough for some to share a slot of the cache with their look-alikes.
    for (let round = 0; round < 8 * TEXT_CACHE_SLOTS; round++) {
      const text = String.fromCharCode(...Array.from({ length: 5 }, () => 0x80 + random.int(128)));
      const lookAlike = Buffer.from(text, 'latin1');
      expect(throughMethod(Buffer.from(text)) === text).toBe(true);
      if (isUtf8(lookAlike)) expect(throughMethod(lookAlike)).toBe(lookAlike.toString());
      else expect(() => throughMethod(lookAlike)).toThrow(/Malformed UTF-8/);
    }
  });

  it('are encoded as UTF-8, also long ones', () => {
    const reason = 'ä€😀'.repeat(28);
    expect(encodeMethod('connection.blocked', { reason }).subarray(5).toString()).toBe(reason);
    const text = 'ä€😀'.repeat(10_000);
    expect(throughTable(Buffer.from(text)).text).toBe(text);
  });
});
