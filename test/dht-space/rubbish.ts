import { CONTROL_PROTOCOL } from '../../src/dht-space/protocol.js';
import type { Control } from '../../src/dht-space/wire/control.js';
import type { Random } from '../support/random.js';
import { framed } from './stranger.js';

function bytes(random: Random, most: number): Buffer {
  return Buffer.from(random.list(most, () => random.int(256)));
}

/** A greeting that is in order: what follows it gets further. */
function hello(random: Random): Buffer {
  const epoch = BigInt(1 + random.int(2 ** 31));
  return framed({
    hello: {
      versions: [1],
      capabilities: [],
      epoch,
      name: 'hostile',
      link: epoch,
      knownLink: 0n,
      consumed: 0,
      credit: random.int(2 ** 31),
      session: random.int(2 ** 31),
    },
  });
}

/** A message that is well formed and means nothing, or nothing good. */
function nonsense(random: Random): Control {
  const spaceId = random.int(2) === 0 ? Buffer.alloc(32, 7) : bytes(random, 40);
  const id = random.int(5);
  const number = random.int(100);
  const pattern = { routingKey: 'a.#', arguments: '{}', token: bytes(random, 40), everything: false };
  return random.pick<Control>([
    { members: { spaceId, records: [bytes(random, 200)], digest: [], wanted: ['12D3nobody'] } },
    { definitions: { spaceId, points: [bytes(random, 200)], manifest: bytes(random, 100) } },
    {
      attach: {
        number,
        id,
        spaceId,
        point: `p${random.int(9)}`,
        type: random.pick(['topic', 'direct', 'odd']),
      },
    },
    { detach: { number, id } },
    { interest: { number, id, snapshot: true, added: [pattern], removed: [], digest: 0n } },
    { synced: { number: 0, spaceId } },
    { settled: { number: 2 ** 31 } },
    { progress: { consumed: random.int(2 ** 31), limit: random.int(2 ** 31) } },
    { ping: { nonce: number } },
    { goodbye: { reason: 'x'.repeat(random.int(2_000)) } },
    {},
  ]);
}

function damaged(octets: Buffer, random: Random): Buffer {
  const result = Buffer.from(octets);
  for (let times = 1 + random.int(3); times > 0 && result.length > 0; times--) {
    result[random.int(result.length)] = random.int(256);
  }
  return result.subarray(0, random.int(4) === 0 ? random.int(result.length + 1) : result.length);
}

/** What one stream carries: on any protocol, random octets, damaged messages, or sound ones in no order. */
export function rubbish(protocol: string, count: number, random: Random): Buffer {
  const frames = protocol === CONTROL_PROTOCOL && random.int(4) > 0 ? [hello(random)] : [];
  while (frames.length < count) {
    const message = framed(nonsense(random));
    const kind = random.int(4);
    if (kind === 0) frames.push(bytes(random, 30));
    else if (kind === 1) frames.push(damaged(message, random));
    else frames.push(message);
  }
  return Buffer.concat(frames);
}
