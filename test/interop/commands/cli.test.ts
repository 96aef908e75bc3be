import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { RawClient } from '../../support/amqp-raw-client.js';
import { CertificateAuthority } from '../../support/certificates.js';
import { eventually } from '../../support/eventually.js';
import { teardown } from '../../support/teardown.js';
import { requireTools } from '../../support/tools.js';

const CLI = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));
const PACKAGE = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
const ANY_PORT = [
  ...['--amqp-listen', '127.0.0.1:0'],
  ...['--overlay-listen', '/ip4/127.0.0.1/tcp/0'],
  ...['--management-listen', 'off'],
];
const TEXT_READY =
  /^ready amqp=amqp:\/\/127\.0\.0\.1:(\d+) overlay=\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3\w+ management=off\n$/;
const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

/** The command in a process of its own, with everything that it writes. */
class Command {
  stdout = '';
  stderr = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('XSPACE_'));
    this.#child = spawn(process.execPath, [CLI, ...args], {
      // What is not about it keeps nothing.
      env: { ...Object.fromEntries(own), XSPACE_IN_MEMORY: 'true', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => ({ code, signal }));
    teardown(() => this.#child.kill('SIGKILL'));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for the ready line, and gives the port for AMQP apps. */
  async ready(): Promise<number> {
    await eventually(() => expect(this.stdout + this.stderr).toMatch(/\n/));
    const [, port] = /amqp:\/\/(?:\[.*?\]|[^:]*):(\d+)/.exec(this.stdout) ?? [];
    if (port === undefined) throw new Error(`it is not ready: ${this.stdout}${this.stderr}`);
    return Number(port);
  }
}

describe('xspace start', () => {
  it('prints one line when it is ready, and nothing else to standard output', async () => {
    const command = new Command(['start', ...ANY_PORT, '--log-level', 'debug']);
    await command.ready();
    expect(command.stdout).toMatch(TEXT_READY);
    command.kill('SIGTERM');
    await command.ended;
    expect(command.stdout).toMatch(TEXT_READY);
    expect(command.stderr).toMatch(/INFO.*stopping/);
  });

  it('prints that line as a JSON object, and logs in JSON, with --log-format json', async () => {
    const listen = ['--amqp-listen', '127.0.0.1:0,localhost:0', '--overlay-listen', '/dns4/localhost/tcp/0'];
    const command = new Command(['start', ...ANY_PORT, ...listen, '--log-format', 'json', '--name', 'Alice']);
    await command.ready();
    const ready = JSON.parse(command.stdout);
    const peerId = expect.stringMatching(/^12D3\w+$/);
    expect(ready).toEqual({
      event: 'ready',
      amqp: expect.any(Array),
      overlay: expect.any(Array),
      management: null,
      peerId,
    });
    expect(ready.amqp).toHaveLength(3);
    for (const url of ready.amqp) expect(url).toMatch(/^amqp:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
    expect(ready.overlay).toHaveLength(2);
    for (const address of ready.overlay) {
      expect(address).toMatch(/^\/(ip4\/127\.0\.0\.1|dns4\/localhost)\/tcp\/\d+\/p2p\/12D3\w+$/);
      expect(address.endsWith(`/p2p/${ready.peerId}`)).toBe(true);
    }
    command.kill('SIGTERM');
    await command.ended;
    const logged = command.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(logged).toContainEqual(
      expect.objectContaining({ node: 'Alice', msg: 'stopping', signal: 'SIGTERM' }),
    );
  });

  it.skipIf(!hasIPv6)('listens on IPv6, and writes such addresses as URLs do', async () => {
    const listen = [
      ...['--amqp-listen', '[::1]:0'],
      ...['--overlay-listen', '/ip6/::1/tcp/0'],
      ...['--management-listen', '[::1]:0'],
    ];
    const command = new Command(['start', ...listen]);
    const port = await command.ready();
    expect(command.stdout).toMatch(
      /^ready amqp=amqp:\/\/\[::1\]:\d+ overlay=\/ip6\/::1\/tcp\/\d+\/p2p\/12D3\w+ management=http:\/\/\[::1\]:\d+\n$/,
    );
    const client = await connect(`amqp://guest:guest@[::1]:${port}`);
    await client.close();
  });

  it('takes its settings from the environment, and from flags before those', async () => {
    const command = new Command(['start', '--log-format', 'text', '--amqp-listen', '127.0.0.1:0'], {
      XSPACE_NAME: 'Margaret',
      XSPACE_AMQP_LISTEN: 'not an endpoint',
      XSPACE_OVERLAY_LISTEN: '/ip4/127.0.0.1/tcp/0',
      XSPACE_MANAGEMENT_LISTEN: 'off',
      XSPACE_SEEDS: '127.0.0.1:1',
      XSPACE_MEMORY_LIMIT: '64MiB',
      XSPACE_LOG_LEVEL: 'info',
      XSPACE_LOG_FORMAT: 'not a format',
    });
    await command.ready();
    expect(command.stdout).toMatch(TEXT_READY);
    // Nobody is at that seed, which keeps the node from nothing.
    await eventually(() => expect(command.stderr).toMatch(/WARN.*no seed was reached/));
  });
});

describe('a configuration file', () => {
  it('gives settings where neither a flag nor a variable does', async () => {
    const file = await fileOf(`
amqp-listen: [not an endpoint]
overlay-listen: not a multiaddr
management-listen: off
log-format: json
`);
    const flags = ['--config', file, '--amqp-listen', '127.0.0.1:0'];
    const command = new Command(['start', ...flags], { XSPACE_OVERLAY_LISTEN: '/ip4/127.0.0.1/tcp/0' });
    await command.ready();
    expect(JSON.parse(command.stdout)).toMatchObject({ event: 'ready', management: null });
  });

  it('that is wrong ends it with code 2, as does one that is not there', async () => {
    const file = await fileOf('name: acme\namqp-listen:\n');
    const command = new Command(['start'], { XSPACE_CONFIG: file });
    expect(await command.ended).toEqual({ code: 2, signal: null });
    expect(command.stderr).toBe(`${file}:2: amqp-listen: expected text, or a list of texts, found nothing\n`);
    const other = new Command(['start', '--config', `${file}.none`]);
    expect(await other.ended).toEqual({ code: 2, signal: null });
    expect(other.stderr).toContain(`config: '${file}.none' cannot be read: ENOENT`);
  });

  async function fileOf(text: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'xspace-config-'));
    teardown(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'node.yaml'), text);
    return join(folder, 'node.yaml');
  }
});

describe('settings that are wrong', () => {
  const keys = [
    ...['name', 'amqp-listen', 'amqp-advertise', 'management-listen', 'overlay-listen'],
    ...['overlay-advertise', 'mdns', 'upnp', 'relay', 'seeds', 'memory-limit'],
    'max-message-size',
    'in-memory',
    ...['sync', 'disk-limit', 'log-level', 'log-format'],
  ];
  const value = (key: string) => (key === 'name' ? 'x'.repeat(256) : `bad ${key}`);

  it.each<[string, string[], Record<string, string>]>([
    ['flags', keys.flatMap((key) => [`--${key}`, value(key)]), {}],
    [
      'variables',
      [],
      Object.fromEntries(keys.map((key) => [`XSPACE_${key.toUpperCase().replaceAll('-', '_')}`, value(key)])),
    ],
  ])('in %s end it with code 2, and all of them are named with their values', async (_, flags, env) => {
    const command = new Command(['start', ...flags], env);
    expect(await command.ended).toEqual({ code: 2, signal: null });
    expect(command.stdout).toBe('');
    const problems = command.stderr.trim().split('\n');
    expect(problems).toHaveLength(keys.length);
    for (const [index, key] of keys.entries()) {
      expect(problems[index]?.startsWith(key)).toBe(true);
      expect(problems[index]).toContain(value(key));
    }
  });

  it('are each one of a list', async () => {
    const flags = [
      '--amqp-listen',
      'a',
      '--amqp-listen',
      '127.0.0.1:0,b',
      '--seeds',
      '127.0.0.1:1',
      '--seeds',
      'c',
    ];
    const command = new Command(['start', ...flags]);
    expect(await command.ended).toEqual({ code: 2, signal: null });
    expect(command.stderr).toMatch(/^amqp-listen: .* 'a'\namqp-listen: .* 'b'\nseeds\[1\] "c": .*\n$/);
  });

  it.each([
    ['a flag that is none', ['start', '--amqp', '127.0.0.1:0'], "unknown option '--amqp'"],
    ['a flag without its value', ['start', '--name'], "'--name <name>' argument missing"],
    ['an argument too many', ['start', 'now'], 'too many arguments'],
    ['a command that is none', ['stop'], "unknown command 'stop'"],
    ['no command', [], 'Usage: xspace'],
  ])('like %s end it with code 2', async (_, args, text) => {
    const command = new Command(args);
    expect(await command.ended).toEqual({ code: 2, signal: null });
    expect(command.stderr).toContain(text);
    expect(command.stdout).toBe('');
  });
});

describe('an address that is in use ends it with code 1, and is named:', () => {
  it.each([
    [
      '--amqp-listen',
      (port: number) => `127.0.0.1:${port}`,
      /^xspace: amqp-listen 127\.0\.0\.1:PORT: .*address already in use/,
    ],
    [
      '--management-listen',
      (port: number) => `127.0.0.1:${port}`,
      /^xspace: management-listen 127\.0\.0\.1:PORT: .*address already in use/,
    ],
    [
      '--overlay-listen',
      (port: number) => `/ip4/127.0.0.1/tcp/${port}`,
      /^xspace: .*overlay.*\/ip4\/127\.0\.0\.1\/tcp\/PORT.*address already in use/,
    ],
  ])('%s', async (flag, address, text) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    teardown(() => server.close());
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    const others = ANY_PORT.filter((_, index) => ANY_PORT[index - (index % 2)] !== flag);
    const command = new Command(['start', ...others, flag, address(port)]);
    expect(await command.ended).toEqual({ code: 1, signal: null });
    expect(command.stdout).toBe('');
    expect(command.stderr.replaceAll(`${port}`, 'PORT')).toMatch(text);
  });
});

requireTools('openssl')('xspace start with TLS', () => {
  it('names its listeners in the ready line, and without files that go together does not start', async () => {
    const authority = new CertificateAuthority();
    const { certFile, keyFile } = authority.issue('node');
    const listen = [
      'start',
      ...ANY_PORT,
      '--amqps-listen',
      '127.0.0.1:0',
      '--tls-cert',
      certFile,
      '--tls-key',
    ];
    const command = new Command([...listen, keyFile]);
    await command.ready();
    expect(command.stdout).toMatch(/^ready amqp=amqp:\/\/\S+ amqps=amqps:\/\/127\.0\.0\.1:\d+ overlay=/);
    const refused = new Command([...listen, authority.keyFile]);
    expect(await refused.ended).toEqual({ code: 2, signal: null });
    expect(refused.stderr).toBe(
      `tls-key: '${authority.keyFile}' is not the key of the certificate in '${certFile}' (tls-cert)\n`,
    );
  });
});

describe('a signal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with code 0, and clients are told', async (signal) => {
    const command = new Command(['start', ...ANY_PORT]);
    const client = await connect(`amqp://guest:guest@127.0.0.1:${await command.ready()}`);
    client.on('error', () => {});
    const closed = once(client, 'close');
    command.kill(signal);
    const [reason] = await closed;
    expect(reason).toMatchObject({ code: 320, message: expect.stringContaining('CONNECTION_FORCED') });
    expect(await command.ended).toEqual({ code: 0, signal: null });
  });

  it('that comes twice in a row, from a terminal and from a wrapper that passes it on, counts once', async () => {
    const command = new Command(['start', ...ANY_PORT]);
    const client = await rawClient(await command.ready());
    command.kill('SIGINT');
    await client.expect('connection.close');
    command.kill('SIGINT');
    client.sendMethod(0, 'connection.close-ok');
    expect(await command.ended).toEqual({ code: 0, signal: null });
  });

  it('ends it within the limit while a client does not answer', async () => {
    const command = new Command(['start', ...ANY_PORT]);
    const client = await rawClient(await command.ready());
    command.kill('SIGTERM');
    const started = performance.now();
    expect(await client.expect('connection.close')).toMatchObject({ replyCode: 320 });
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('that comes again later ends it at once, with code 1', async () => {
    const command = new Command(['start', ...ANY_PORT]);
    const client = await rawClient(await command.ready());
    command.kill('SIGTERM');
    await client.expect('connection.close');
    const started = performance.now();
    const impatience = setInterval(() => command.kill('SIGINT'), 100);
    teardown(() => clearInterval(impatience));
    expect(await command.ended).toEqual({ code: 1, signal: null });
    expect(performance.now() - started).toBeLessThan(4_000);
  });
});

describe('xspace', () => {
  it('tells its version', async () => {
    const command = new Command(['--version']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.stdout).toBe(`${PACKAGE.version}\n`);
  });

  it('tells every flag of start with its variable and its default', async () => {
    const command = new Command(['start', '--help']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    const help = command.stdout.replaceAll(/\s+/g, ' ');
    for (const [flag, variable, initial] of [
      ['--config <file>', 'XSPACE_CONFIG', 'none'],
      ['--name <name>', 'XSPACE_NAME', ''],
      ['--amqp-listen <host:port>', 'XSPACE_AMQP_LISTEN', '127.0.0.1:5672'],
      ['--amqps-listen <host:port>', 'XSPACE_AMQPS_LISTEN', 'none'],
      ['--amqp-advertise <host:port>', 'XSPACE_AMQP_ADVERTISE', 'where it listens'],
      ['--tls-cert <file>', 'XSPACE_TLS_CERT', 'none'],
      ['--tls-key <file>', 'XSPACE_TLS_KEY', 'none'],
      ['--tls-ca <file>', 'XSPACE_TLS_CA', 'none'],
      ['--management-listen <host:port>', 'XSPACE_MANAGEMENT_LISTEN', '127.0.0.1:15673, or any free port'],
      ['--overlay-listen <multiaddr>', 'XSPACE_OVERLAY_LISTEN', '/ip4/127.0.0.1/tcp/4672'],
      ['--overlay-advertise <multiaddr>', 'XSPACE_OVERLAY_ADVERTISE', 'where it listens'],
      ['--mdns [boolean]', 'XSPACE_MDNS', 'false'],
      ['--upnp [boolean]', 'XSPACE_UPNP', 'false'],
      ['--relay [boolean]', 'XSPACE_RELAY', 'false'],
      ['--seeds <addresses>', 'XSPACE_SEEDS', 'none'],
      ['--memory-limit <size>', 'XSPACE_MEMORY_LIMIT', '40%'],
      ['--max-message-size <size>', 'XSPACE_MAX_MESSAGE_SIZE', '16MiB'],
      ['--data-dir <path>', 'XSPACE_DATA_DIR', '$XDG_STATE_HOME/xspace/<name>'],
      ['--in-memory [boolean]', 'XSPACE_IN_MEMORY', 'false'],
      ['--sync <when>', 'XSPACE_SYNC', 'always'],
      ['--disk-limit <size>', 'XSPACE_DISK_LIMIT', '50MB'],
      ['--log-level <level>', 'XSPACE_LOG_LEVEL', 'info'],
      ['--log-format <format>', 'XSPACE_LOG_FORMAT', 'text'],
    ] as const) {
      const [, text = ''] = help.split(`${flag} `);
      expect(text).toContain(`(env: ${variable})`);
      expect(text.slice(0, text.indexOf(`(env: ${variable})`))).toContain(`(default: ${initial}`);
    }
  });
});

/** A client that answers nothing. */
async function rawClient(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  teardown(() => client.destroy());
  await client.open();
  return client;
}
