import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { startNode } from '../../support/start-node.js';
import { teardown } from '../../support/teardown.js';

const CLI = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xspace-admin-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command, with `input` at its standard input. */
async function run(
  args: readonly string[],
  input = '',
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe', env: { ...process.env, ...env } });
  child.stdin.on('error', () => {}); // it may not read
  child.stdin.end(input);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await exited, stdout, stderr };
}

/** Of the node under test; what it prints, when it succeeds. */
async function xspace(args: string, input?: string): Promise<string> {
  const outcome = await run([...args.split(' '), '--data-dir', dataDir], input);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  return outcome.stdout;
}

function withDataDir(...args: string[]) {
  return run([...args, '--data-dir', dataDir]);
}

/** Who can log in, and into which virtual host. */
async function canOpen(url: string): Promise<boolean> {
  try {
    await (await connect(url)).close();
    return true;
  } catch {
    return false;
  }
}

describe.each(['running', 'stopped'])('commands for a node that is %s', (state) => {
  beforeEach(async () => {
    if (state === 'running') await startNode({ flags: ['--data-dir', dataDir] });
  });

  it('make a user, a virtual host and permissions, list them and remove them', async () => {
    await xspace('vhost add shop');
    await xspace('user add alice --password secret --tags monitoring,policymaker');
    await xspace('permission set alice --vhost shop --configure ^a\\. --write .* --read ^$');
    expect(await xspace('user list')).toBe(
      'name\ttags\nalice\tmonitoring,policymaker\nguest\tadministrator\n',
    );
    expect(JSON.parse(await xspace('permission list --format json'))).toEqual([
      { user: 'alice', vhost: 'shop', configure: '^a\\.', write: '.*', read: '^$' },
      { user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' },
    ]);
    await xspace('permission remove alice --vhost shop');
    await xspace('user remove alice');
    await xspace('vhost remove shop');
    expect(await xspace('vhost list')).toBe('name\n/\n');
    expect(await xspace('permission list')).toBe(
      'user\tvhost\tconfigure\twrite\tread\nguest\t/\t.*\t.*\t.*\n',
    );
  });
});

describe('commands by --management', () => {
  it('are for any node that runs, also one that keeps nothing, and by flag before any variable', async () => {
    const { management, peerId } = await startNode({ managementListen: '127.0.0.1:0' });
    const url = new URL(management ?? '');
    const anywhere = { XSPACE_DATA_DIR: '/nowhere' };
    const added = run(
      ['user', 'add', 'root', '--password', 'r', '--tags', 'administrator', '--management', url.href],
      '',
      anywhere,
    );
    expect(await added).toEqual({ code: 0, stdout: '', stderr: '' });
    url.username = 'root';
    url.password = 'r';
    const environment = { XSPACE_MANAGEMENT: url.href };
    expect(await run(['user', 'list'], '', environment)).toEqual({
      code: 0,
      stdout: 'name\ttags\nguest\tadministrator\nroot\tadministrator\n',
      stderr: '',
    });
    const status = await run(['status'], '', environment);
    expect(JSON.parse(status.stdout)).toMatchObject({ name: 'node', peerId, aliases: [], spaces: [] });
    expect(await run(['user', 'list', '--data-dir', '/nowhere'], '', environment)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("data-dir: no node has its data in '/nowhere'"),
    });
  });

  it('say where nobody is reached, with code 1 and without the password', async () => {
    const url = 'http://admin:hunter2@127.0.0.1:1';
    expect(await run(['point', 'delete', '--space', 's', '--point', 'p', '--management', url])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'xspace: management: http://127.0.0.1:1: cannot be reached: connect ECONNREFUSED 127.0.0.1:1\n',
    });
  });

  it('that are given a data directory too end with code 2, and show no password', async () => {
    const { code, stdout, stderr } = await withDataDir('user', 'list', '--management', 'http://a:hunter2@h');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain("option '--management <url>' cannot be used with '--data-dir <path>'");
    expect(stderr).not.toContain('hunter2');
  });
});

describe('commands for a node that runs', () => {
  it.each(['status', 'point delete --space s --point p'])(
    'such as %s say so where it does not, and leave its directory alone',
    async (args) => {
      const command = args.split(' --')[0];
      expect(await withDataDir(...args.split(' '))).toEqual({
        code: 1,
        stdout: '',
        stderr: `xspace: ${command}: the node in '${dataDir}' does not run, and this needs one that does\n`,
      });
      expect(await readdir(dataDir)).toEqual([]);
    },
  );
});

describe('a command that is refused', () => {
  it('says what is wrong on standard error, with code 1 and without a password', async () => {
    for (const [args, problem] of [
      [['user', 'add', 'guest', '--password', 'hunter2'], "xspace: user 'guest' already exists\n"],
      [['user', 'password', 'bob', '--password', 'hunter2'], "xspace: user 'bob' does not exist\n"],
    ] as const) {
      expect(await withDataDir(...args)).toEqual({ code: 1, stdout: '', stderr: problem });
    }
    const patterns = ['--configure', '(', '--write', '', '--read', ''];
    const refused = await withDataDir('permission', 'set', 'guest', '--vhost', '/', ...patterns);
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('regular expression'),
    });
  });
});

describe('users made while the node was stopped', () => {
  it('can log in when it runs, are changed while it does, and are there when it has been killed', async () => {
    await xspace('user add alice --password -', 'from standard input\n');
    await xspace('permission set alice --vhost / --configure .* --write .* --read .*');
    const node = await startNode({ flags: ['--data-dir', dataDir] });
    const as = (password: string, port: number) =>
      canOpen(`amqp://alice:${encodeURIComponent(password)}@127.0.0.1:${port}`);
    expect(await as('from standard input', node.port)).toBe(true);
    await xspace('user password alice --password hunter3');
    expect(await as('from standard input', node.port)).toBe(false);
    expect(await as('hunter3', node.port)).toBe(true);
    expect(node.logs.join()).not.toMatch(/from standard input|hunter3/);
    await node.kill();
    // The socket that it has left is nobody's.
    expect(await xspace('user list')).toContain('alice');
    const again = await startNode({ flags: ['--data-dir', dataDir] });
    expect(await as('hunter3', again.port)).toBe(true);
  });
});

describe('commands', () => {
  it('need a node that has its data there', async () => {
    const nowhere = join(dataDir, 'nowhere');
    expect(await run(['user', 'list', '--data-dir', nowhere])).toEqual({
      code: 1,
      stdout: '',
      stderr: `xspace: data-dir: no node has its data in '${nowhere}'\n`,
    });
  });

  it.each([
    ['user add alice', "required option '--password <password>' not specified"],
    ['permission set alice --vhost /', "required option '--configure <pattern>' not specified"],
    ['vhost add', "missing required argument 'name'"],
  ])('that are not complete, such as %s, end with code 2', async (args, problem) => {
    const { code, stdout, stderr } = await withDataDir(...args.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(problem);
  });
});
