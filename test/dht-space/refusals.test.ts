import type { KadDHT } from '@libp2p/kad-dht';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { beforeEach, describe, expect, it } from 'vitest';
import { RecordError } from '../../src/dht-space/envelope.js';
import { MAX_STORES_PER_PEER, STORES_PER_SECOND_PER_PEER } from '../../src/dht-space/limits.js';
import { PeerFault, Refusals } from '../../src/dht-space/refusals.js';
import { UnseenRefusals } from '../../src/dht-space/unseen-refusals.js';
import { identities } from './fixtures.js';
import { LogStub } from './log-stub.js';

let log: LogStub;
let refusals: Refusals;

beforeEach(() => {
  log = new LogStub();
  refusals = new Refusals(log);
});

describe('refusals', () => {
  it('are counted by cause, and the first, second, fourth and so on of each are logged', () => {
    for (let count = 0; count < 1000; count++) refusals.add('flood', { peer: 'p', cause: 'too much' });
    refusals.add('forged', { peer: 'q', cause: 'no signature' });
    expect(refusals.counts).toEqual({ flood: 1000, forged: 1 });
    const logged = log.about('refused').map(({ fields }) => [fields.refused, fields.count]);
    expect(logged).toEqual([
      ...[1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((n) => ['flood', n]),
      ['forged', 1],
    ]);
    expect(log.entries.at(-1)).toMatchObject({ level: 'warn', fields: { peer: 'q', cause: 'no signature' } });
  });

  it('that are about a space count for it and for the node, and name it in the log', () => {
    const [one, other] = [refusals.of('market'), refusals.of('vault')];
    one.add('message', { peer: 'p', cause: 'no right', point: 'bids' });
    other.addFault(PeerFault.of(new RecordError('bad-signature', 'forged'), one), 'p');
    expect([one.counts, other.counts]).toEqual([{ message: 1, forged: 1 }, {}]);
    expect(refusals.counts).toEqual({ message: 1, forged: 1 });
    expect(log.entries[0]?.fields).toMatchObject({ space: 'market', point: 'bids', refused: 'message' });
  });

  it('which honest peers bring about as well are no warnings', () => {
    refusals.addFault(new RecordError('outdated', 'there is a newer one'), 'p');
    expect(log.entries).toMatchObject([{ level: 'info', fields: { refused: 'outdated' } }]);
  });

  it('take no more of the log than it can hold, whatever a peer writes', () => {
    refusals.addFault(new Error('x'.repeat(100_000)), 'p');
    expect(refusals.counts).toEqual({ protocol: 1 });
    expect(String(log.entries[0]?.fields.cause).length).toBeLessThan(1000);
  });
});

describe('the DHT', () => {
  it('keeps so much for one peer at once, goes on with time, and for others meanwhile', async () => {
    const [peer, other] = (await identities(2)).map(({ key }) => peerIdFromPrivateKey(key));
    if (peer === undefined || other === undefined) return expect.fail();
    let nowMs = 0;
    let stored = 0;
    const rpc = {
      handleMessage: async () => {
        stored += 1;
      },
    };
    new UnseenRefusals(refusals).refuseInDht({ rpc } as unknown as KadDHT, () => nowMs);
    const store = (by: typeof peer, type = 'PUT_VALUE'): Promise<void> =>
      (rpc.handleMessage as (by: typeof peer, request: object) => Promise<void>)(by, { type });
    for (let count = 0; count < MAX_STORES_PER_PEER; count++) await store(peer);
    await expect(store(peer, 'ADD_PROVIDER')).rejects.toThrow('too much');
    await store(peer, 'GET_VALUE');
    await store(other);
    expect([stored, refusals.counts]).toEqual([MAX_STORES_PER_PEER + 2, { flood: 1 }]);
    nowMs += 1000;
    for (let count = 0; count < STORES_PER_SECOND_PER_PEER; count++) await store(peer);
    await expect(store(peer)).rejects.toThrow('too much');
  });
});
