import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { startNode } from './support/start-node.js';
import { teardown } from './support/teardown.js';

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

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
async function run(args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe' });
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
