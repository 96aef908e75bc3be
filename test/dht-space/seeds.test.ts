import { describe, expect, it } from 'vitest';
import { parseSeeds } from '../../src/dht-space/seeds.js';
import { SpaceError } from '../../src/overlay/index.js';

const PEER = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X';

function parsed(value: unknown): string[] {
  return parseSeeds(value, 'seeds').map(String);
}

describe('seeds', () => {
  it.each([
    ['/ip4/192.0.2.1/tcp/4672', '/ip4/192.0.2.1/tcp/4672'],
    [`/ip4/192.0.2.1/tcp/4672/p2p/${PEER}`, `/ip4/192.0.2.1/tcp/4672/p2p/${PEER}`],
    ['/ip6/2001:db8::1/tcp/4672', '/ip6/2001:db8::1/tcp/4672'],
    ['/dns4/seed.example/tcp/4672', '/dns4/seed.example/tcp/4672'],
    ['192.0.2.1:4672', '/ip4/192.0.2.1/tcp/4672'],
    ['[2001:db8::1]:4672', '/ip6/2001:db8::1/tcp/4672'],
    ['seed.example:4672', '/dns/seed.example/tcp/4672'],
    ['localhost:4672', '/dns/localhost/tcp/4672'],
    ['node_1:04672', '/dns/node_1/tcp/4672'],
    [' 192.0.2.1:4672 ', '/ip4/192.0.2.1/tcp/4672'],
  ])('may be written as %s', (entry, expected) => {
    expect(parsed([entry])).toEqual([expected]);
    expect(parsed(`192.0.2.9:1,${entry}`)).toEqual(['/ip4/192.0.2.9/tcp/1', expected]);
  });

  it('are none when the argument is absent or empty', () => {
    expect(parsed(undefined)).toEqual([]);
    expect(parsed('')).toEqual([]);
    expect(parsed([])).toEqual([]);
  });

  it('count once when they are named twice', () => {
    expect(parsed('192.0.2.1:1, /ip4/192.0.2.1/tcp/1')).toEqual(['/ip4/192.0.2.1/tcp/1']);
  });

  it.each<[unknown, string]>([
    [7, 'seeds is neither an array of strings nor one comma-separated string but number'],
    [['192.0.2.1:1', 7], 'seeds[1] is not a string but number'],
    ['192.0.2.1:1,', 'seeds[1] "": it is empty;'],
    ['seed.example', 'seeds[0] "seed.example": the port is missing;'],
    ['seed.example:', 'seeds[0] "seed.example:": the port is not a number from 1 to 65535;'],
    ['seed.example:65536', 'the port is not a number from 1 to 65535;'],
    ['seed.example:0', 'the port is not a number from 1 to 65535;'],
    [':4672', 'the host is missing;'],
    ['2001:db8::1', 'an IPv6 address stands in brackets, with a port behind;'],
    ['[192.0.2.1]:1', 'what stands in brackets is not an IPv6 address;'],
    ['300.0.2.1:1', 'the host is neither an address nor a name;'],
    ['amqp://host:5672', 'it has several colons;'],
    ['a b:1', 'the host is neither an address nor a name;'],
    ['/ip4/192.0.2.1', 'only TCP is spoken here;'],
    ['/ip4/192.0.2.1/udp/1/quic-v1', 'only TCP is spoken here;'],
    ['/ip4/192.0.2.1/tcp/1/ws', 'only TCP is spoken here;'],
    ['/ip4/192.0.2.1/tcp/0', 'the port is not a number from 1 to 65535;'],
    [`/p2p/${PEER}`, 'it names no host;'],
    ['/ip4/300.0.0.1/tcp/1', 'seeds[0] "/ip4/300.0.0.1/tcp/1": '],
    ['/ip4/192.0.2.1/tcp/1/p2p/nobody', 'seeds[0] '],
    [Array.from({ length: 65 }, (_, i) => `192.0.2.1:${i + 1}`), 'seeds has 65 entries, the limit is 64'],
  ])('of %j are refused, and the text says why', (value, text) => {
    try {
      parsed(value);
      expect.fail('accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(SpaceError);
      expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(text) });
    }
  });
});
