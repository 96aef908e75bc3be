import type { Random } from '../test/support/random.js';

/** Octets at which lengths, signs and types change their meaning. */
const EDGES = [0, 1, 0x7f, 0x80, 0xce, 0xfe, 0xff];
const MAX_MUTATIONS = 4;
const LONG_RUN_OCTETS = 64;

/** Changes, drops, repeats or adds a few octets. */
export function mutated(octets: Buffer, random: Random): Buffer {
  let result = octets;
  for (let times = 1 + random.int(MAX_MUTATIONS); times > 0 && result.length > 0; times--) {
    const at = random.int(result.length);
    const until = Math.min(result.length, at + 1 + random.int(8));
    result = replaced(result, at, until, random);
  }
  return result;
}

function replaced(octets: Buffer, at: number, until: number, random: Random): Buffer {
  const [before, part, after] = [octets.subarray(0, at), octets.subarray(at, until), octets.subarray(until)];
  switch (random.int(6)) {
    case 0:
      return Buffer.concat([before, octetsOf(random, 1), octets.subarray(at + 1)]);
    case 1:
      return Buffer.concat([before, Buffer.from([random.pick(EDGES)]), octets.subarray(at + 1)]);
    case 2:
      return Buffer.concat([before, after]);
    case 3:
      return Buffer.concat([before, part, part, after]);
    case 4:
      return Buffer.concat([before, octetsOf(random, 1 + random.int(4)), octets.subarray(at)]);
    default:
      return Buffer.concat([before, Buffer.alloc(random.int(LONG_RUN_OCTETS), random.pick(EDGES)), after]);
  }
}

export function octetsOf(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.int(256)));
}
