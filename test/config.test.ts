import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../src/config.js';
import { defaultDataDir } from '../src/data-dir.js';
import { parseMemoryLimit } from '../src/memory-limit.js';
import type { RawConfig } from '../src/settings.js';
import { ConfigError } from '../src/settings.js';

const PEER = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X';
const ENDPOINT = 'host:port such as 127.0.0.1:5672 or [::1]:5672';
const MULTIADDR = 'a multiaddr such as /ip4/127.0.0.1/tcp/4672';
const SIZE = 'a percentage such as 40%, or bytes such as 512MiB';

function problemsOf(raw: RawConfig): string[] {
  try {
    parseConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a configuration', () => {
  it('that says nothing is the default one, for this machine alone', () => {
    expect(parseConfig({})).toEqual({
      name: hostname(),
      amqpListen: [{ host: '127.0.0.1', port: 5672 }],
      amqpsListen: [],
      management: { endpoint: { host: '127.0.0.1', port: 15673 }, isDefault: true },
      overlayListen: ['/ip4/127.0.0.1/tcp/4672'],
      reachability: { advertise: [], mdns: false, upnp: false, relay: false },
      seeds: [],
      memoryLimitBytes: parseMemoryLimit('40%'),
      maxMessageBytes: 16_777_216,
      storage: { dataDir: defaultDataDir(hostname()), syncIntervalMs: 0, diskLimitBytes: 50_000_000 },
      logLevel: 'info',
      logFormat: 'text',
    });
  });

  it('that says everything is what it says', () => {
    const config = parseConfig({
      name: 'Margaret',
      amqpListen: ['0.0.0.0:0', 'localhost:5673'],
      managementListen: '[::]:15673',
      overlayListen: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/4673'],
      overlayAdvertise: ['/dns4/node.example/tcp/4672', '/ip6/2001:db8::7/tcp/4673'],
      mdns: true,
      upnp: 'true',
      relay: 'false',
      seeds: `192.0.2.1:4672,/dns4/seed.example/tcp/4672/p2p/${PEER}`,
      memoryLimit: '512MiB',
      maxMessageSize: '128MiB',
      dataDir: '/var/lib/../lib/xspace',
      inMemory: 'false',
      sync: 'interval:50',
      diskLimit: '2 GiB',
      logLevel: 'debug',
      logFormat: 'json',
    });
    expect({ ...config, seeds: config.seeds.map(String) }).toEqual({
      name: 'Margaret',
      amqpListen: [
        { host: '0.0.0.0', port: 0 },
        { host: 'localhost', port: 5673 },
      ],
      amqpsListen: [],
      management: { endpoint: { host: '::', port: 15673 }, isDefault: false },
      overlayListen: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/4673'],
      reachability: {
        advertise: ['/dns4/node.example/tcp/4672', '/ip6/2001:db8::7/tcp/4673'],
        mdns: true,
        upnp: true,
        relay: false,
      },
      seeds: ['/ip4/192.0.2.1/tcp/4672', `/dns4/seed.example/tcp/4672/p2p/${PEER}`],
      memoryLimitBytes: 536_870_912,
      maxMessageBytes: 134_217_728,
      storage: { dataDir: '/var/lib/xspace', syncIntervalMs: 50, diskLimitBytes: 2_147_483_648 },
      logLevel: 'debug',
      logFormat: 'json',
    });
  });

  it.each(['true', true] as const)('may ask that nothing is kept: %j', (inMemory) => {
    expect(parseConfig({ inMemory }).storage).toBeUndefined();
  });

  it('has its data where its name says, which leads nowhere else', () => {
    const folder = (name: string) => parseConfig({ name }).storage?.dataDir;
    expect(folder('Margaret')).toMatch(/\/xspace\/Margaret$/);
    for (const name of ['..', '.', '../x', 'a/../../b']) expect(folder(name)).toMatch(/\/xspace\/[^/]+$/);
  });

  it.each([
    ['[::1]:5672', '::1', 5672],
    ['[::]:0', '::', 0],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
    ['node-1.example:65535', 'node-1.example', 65_535],
    ['node_1:05672', 'node_1', 5672],
  ])('may have AMQP apps connect to %s', (text, host, port) => {
    expect(parseConfig({ amqpListen: [text] }).amqpListen).toEqual([{ host, port }]);
  });

  it.each(['/ip6/::1/tcp/0', '/dns/localhost/tcp/1', '/dns4/localhost/tcp/1', '/dns6/localhost/tcp/65535'])(
    'may have other nodes connect to %s',
    (text) => {
      expect(parseConfig({ overlayListen: [text] }).overlayListen).toEqual([text]);
    },
  );

  it.each([
    '',
    '5672',
    'localhost',
    'localhost:',
    ':5672',
    '127.0.0.1:65536',
    '127.0.0.1:123456',
    '127.0.0.1:-1',
    '127.0.0.1:http',
    '300.0.0.1:5672',
    '127.1:5672',
    '::1:5672',
    '[::1]',
    '[127.0.0.1]:5672',
    '[::1]:5672 ',
    ' 127.0.0.1:5672',
    'a b:5672',
    'a..b:5672',
    'amqp://127.0.0.1:5672',
    '*:5672',
  ])('whose amqp-listen is %j is refused', (text) => {
    expect(problemsOf({ amqpListen: ['127.0.0.1:0', text] })).toEqual([
      `amqp-listen: expected ${ENDPOINT}, found '${text}'`,
    ]);
  });

  it.each([
    '',
    '127.0.0.1:4672',
    '/ip4/127.0.0.1',
    '/ip4/300.0.0.1/tcp/4672',
    '/ip4/127.0.0.1/tcp/65536',
    '/ip4/127.0.0.1/tcp/x',
    '/ip4/127.0.0.1/udp/4672',
    '/ip4/127.0.0.1/udp/4672/quic-v1',
    '/ip4/127.0.0.1/tcp/4672/ws',
    `/ip4/127.0.0.1/tcp/4672/p2p/${PEER}`,
    '/tcp/4672',
    '/ip5/127.0.0.1/tcp/4672',
    '/unix/tmp/socket',
  ])('whose overlay-listen is %j is refused', (text) => {
    expect(problemsOf({ overlayListen: ['/ip4/127.0.0.1/tcp/0', text] })).toEqual([
      `overlay-listen: expected ${MULTIADDR}, found '${text}'`,
    ]);
  });

  it.each([
    '',
    'node.example:4672',
    '/ip4/0.0.0.0/tcp/4672',
    '/ip6/::/tcp/4672',
    '/dns4/node.example/tcp/0',
    '/ip4/192.0.2.7/udp/4672',
    `/ip4/192.0.2.7/tcp/4672/p2p/${PEER}`,
  ])('whose overlay-advertise is %j is refused', (text) => {
    expect(problemsOf({ overlayAdvertise: ['/ip4/192.0.2.7/tcp/4672', text] })).toEqual([
      `overlay-advertise: expected a multiaddr that others can reach, such as /dns4/node.example/tcp/4672, found '${text}'`,
    ]);
  });

  it.each(['mdns', 'upnp', 'relay'])('whose %s is neither true nor false is refused', (key) => {
    expect(problemsOf({ [key]: 'maybe' })).toEqual([`${key}: expected true or false, found 'maybe'`]);
  });

  it.each([
    ['broker.example:5672', 'broker.example', 5672, false],
    ['amqp://192.0.2.7:1', '192.0.2.7', 1, false],
    ['amqps://[2001:db8::7]:5671', '2001:db8::7', 5671, true],
  ])('may tell other nodes to reach it at %s', (text, host, port, tls) => {
    expect(parseConfig({ amqpAdvertise: text }).amqpAdvertise).toEqual({ host, port, tls });
  });

  it.each([
    '',
    'broker.example',
    'broker.example:0',
    'broker.example:65536',
    '0.0.0.0:5672',
    'amqp://[::]:5672',
    'http://broker.example:5672',
    'amqp://guest@broker.example:5672',
    'amqp://broker.example:5672/',
    'amqps://',
    'broker.example:5672 ',
  ])('whose amqp-advertise is %j is refused', (text) => {
    const expected = 'host:port, amqp://host:port or amqps://host:port that others can reach';
    expect(problemsOf({ amqpAdvertise: text })).toEqual([
      `amqp-advertise: expected ${expected}, found '${text}'`,
    ]);
  });

  it.each<[RawConfig, string]>([
    [{ name: '' }, "name: expected 1 to 255 bytes, found ''"],
    [{ name: 'ü'.repeat(128) }, `name: expected 1 to 255 bytes, found '${'ü'.repeat(128)}'`],
    [{ memoryLimit: '200%' }, `memory-limit: expected ${SIZE}, found '200%'`],
    [{ memoryLimit: '' }, `memory-limit: expected ${SIZE}, found ''`],
    ...['1023', '0', '128.1MiB', '', 'big', '50%'].map((maxMessageSize): [RawConfig, string] => [
      { maxMessageSize },
      `max-message-size: expected 1KiB to 128MiB, found '${maxMessageSize}'`,
    ]),
    [{ dataDir: '' }, "data-dir: expected a path, found ''"],
    [{ inMemory: 'yes' }, "in-memory: expected true or false, found 'yes'"],
    [
      { inMemory: true, dataDir: '/d' },
      "in-memory: expected no data-dir beside it, which is '/d', found 'true'",
    ],
    ...['', 'never', 'interval', 'interval:0', 'interval:60001', 'interval:1.5', 'interval:-1'].map(
      (sync): [RawConfig, string] => [
        { sync },
        `sync: expected always, or interval:MS such as interval:50, found '${sync}'`,
      ],
    ),
    ...['', '5%', '-1', '0', '1TB'].map((diskLimit): [RawConfig, string] => [
      { diskLimit },
      `disk-limit: expected bytes such as 50MB, found '${diskLimit}'`,
    ]),
    [
      { logLevel: 'verbose' },
      "log-level: expected one of trace, debug, info, warn, error, fatal, silent, found 'verbose'",
    ],
    [
      { logLevel: 'INFO' },
      "log-level: expected one of trace, debug, info, warn, error, fatal, silent, found 'INFO'",
    ],
    [{ logFormat: 'xml' }, "log-format: expected one of text, json, found 'xml'"],
  ])('of %j is refused', (raw, problem) => {
    expect(problemsOf(raw)).toEqual([problem]);
  });

  it.each([
    ['192.0.2.1:4672,seed.example', /^seeds\[1\] "seed.example": the port is missing; expected a multiaddr/],
    ['192.0.2.1:4672,', /^seeds\[1\] "": it is empty; expected/],
  ])('whose seeds are %j is refused', (seeds, problem) => {
    const problems = problemsOf({ seeds });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });

  it('has all its problems told at once, in the order of the flags', () => {
    const problems = problemsOf({
      name: '',
      amqpListen: ['x', '127.0.0.1:0', 'y'],
      overlayListen: ['z'],
      amqpAdvertise: 'a',
      seeds: 's',
      memoryLimit: 'm',
      maxMessageSize: 's',
      inMemory: 'i',
      dataDir: '',
      sync: 's',
      diskLimit: 'd',
      logLevel: 'l',
      logFormat: 'f',
    });
    expect(problems.map((problem) => problem.split(/[ :[]/, 1)[0])).toEqual([
      'name',
      'amqp-listen',
      'amqp-listen',
      'amqp-advertise',
      'overlay-listen',
      'seeds',
      'memory-limit',
      'max-message-size',
      'in-memory',
      'data-dir',
      'sync',
      'disk-limit',
      'log-level',
      'log-format',
    ]);
  });
});
