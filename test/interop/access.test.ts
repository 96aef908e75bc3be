import { execFile } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ChannelModel } from 'amqplib';
import { connect, credentials } from 'amqplib';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { Certificate } from '../support/certificates.js';
import { CertificateAuthority } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import type { NodeProcess } from '../support/node-process.js';
import { projectRoot } from '../support/node-process.js';
import { startNode } from '../support/start-node.js';
import { teardown } from '../support/teardown.js';
import { PYTHON, requireTools } from '../support/tools.js';
import { refusalOf } from './amqplib-support.js';

const run = promisify(execFile);

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'xspace-access-'));
  teardown(() => rm(dataDir, { recursive: true, force: true }));
});

/** A command of the node's administrator. */
async function xspace(...args: string[]): Promise<void> {
  await run(process.execPath, [join(projectRoot, 'dist/cli.js'), ...args, '--data-dir', dataDir]);
}

async function pika(...args: string[]) {
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = await run(PYTHON, [join(projectRoot, 'test/interop/pika/access.py'), ...args], { env });
  return JSON.parse(stdout);
}

function permit(user: string, configure: string, write: string, read: string): Promise<void> {
  const patterns = ['--configure', configure, '--write', write, '--read', read];
  return xspace('permission', 'set', user, '--vhost', '/', ...patterns);
}

function refused(kind: string, name: string): string {
  return `ACCESS_REFUSED - access to ${kind} '${name}' in vhost '/' refused for user 'alice'`;
}

requireTools('pika')('a user with limited permissions', () => {
  let node: NodeProcess;
  let url: string;

  beforeEach(async () => {
    node = await startNode({ flags: ['--data-dir', dataDir] });
    await xspace('user', 'add', 'alice', '--password', 'secret');
    await permit('alice', '^alice\\.', '^(alice\\.|amq\\.topic$)', '^(alice\\.|amq\\.topic$)');
    url = `amqp://alice:secret@${node.host}:${node.port}`;
  });

  it('is told by pika what is refused, and does the rest', async () => {
    expect(await pika('refusals', `${url}/%2F`)).toEqual({
      declare: `403 ${refused('queue', 'private')}`,
      declare_own: null,
      bind: `403 ${refused('exchange', 'amq.direct')}`,
      bind_own: null,
      consume: `403 ${refused('queue', 'private')}`,
      get_own: null,
      publish: `403 ${refused('exchange', 'amq.direct')}`,
      publish_own: null,
      delete: `403 ${refused('exchange', 'private')}`,
    });
  });

  it('is told by amqplib what is refused, and what an administrator changes at once', async () => {
    const own = { deadLetterExchange: 'private' };
    expect(await refusalOf(url, (channel) => channel.assertQueue('alice.q', own))).toEqual({
      scope: 'channel',
      code: 403,
      text: expect.stringContaining(refused('exchange', 'private')),
    });
    const client = await connect(url);
    client.on('error', () => {});
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('alice.q');
    channel.publish('amq.topic', 'k', Buffer.from('body'));
    await channel.waitForConfirms();
    await permit('alice', '.*', '^alice\\.', '.*');
    const error = new Promise<Error>((resolve) => channel.once('error', resolve));
    channel.publish('amq.topic', 'k', Buffer.from('body'));
    expect((await error).message).toContain(refused('exchange', 'amq.topic'));
    const closed = new Promise<Error>((resolve) => client.once('close', resolve));
    await xspace('user', 'remove', 'alice');
    expect((await closed).message).toContain("CONNECTION_FORCED - user 'alice' is deleted");
    expect(await pika('login', `${url}/%2F`)).toContain('ACCESS_REFUSED');
  });
});

requireTools('openssl', 'pika')('a node with TLS', () => {
  let authority: CertificateAuthority;
  let alice: Certificate;

  beforeAll(() => {
    authority = new CertificateAuthority();
    alice = authority.issue('alice');
  });

  /** The node, its port for TLS, and the files that it reads its certificate from. */
  async function startWithTls() {
    const { certFile, keyFile } = authority.issue('node');
    const flags = ['--amqps-listen', '127.0.0.1:0', '--tls-cert', certFile, '--tls-key', keyFile];
    const node = await startNode({
      flags: ['--data-dir', dataDir, ...flags, '--tls-ca', authority.certFile],
    });
    await xspace('user', 'add', 'alice', '--password', '');
    await permit('alice', '.*', '.*', '.*');
    return { node, certFile, keyFile, port: Number(new URL(node.amqps[0] ?? '').port) };
  }

  async function connectTls(port: number): Promise<ChannelModel> {
    const options = {
      ca: authority.cert,
      cert: alice.cert,
      key: alice.key,
      credentials: credentials.external(),
    };
    const client = await connect(`amqps://localhost:${port}`, options);
    client.on('error', () => {});
    teardown(() => client.close().catch(() => {}));
    return client;
  }

  function shownBy(client: ChannelModel): string {
    const { stream } = (client as unknown as { connection: { stream: import('node:tls').TLSSocket } })
      .connection;
    return String(stream.getPeerCertificate().subject.CN);
  }

  it('lets pika in with its certificate', async () => {
    const { port } = await startWithTls();
    const { certFile, keyFile } = alice;
    expect(await pika('certificate', 'localhost', `${port}`, authority.certFile, certFile, keyFile)).toEqual({
      equal: true,
      user: 'alice',
    });
  });

  it('shows a new certificate after SIGHUP, keeps its connections, and goes on with the old one if the new one is bad', async () => {
    const { node, port, certFile, keyFile } = await startWithTls();
    const before = await connectTls(port);
    expect(shownBy(before)).toBe('node');
    const renewed = authority.issue('renewed');
    copyFileSync(renewed.certFile, certFile);
    node.signal('SIGHUP');
    await eventually(() => expect(node.logs.join()).toContain('the new certificates are not used'));
    expect(node.logs.join()).toContain('is not the key of the certificate');
    expect(shownBy(await connectTls(port))).toBe('node');
    copyFileSync(renewed.keyFile, keyFile);
    node.signal('SIGHUP');
    await eventually(async () => expect(shownBy(await connectTls(port))).toBe('renewed'));
    await (await before.createChannel()).assertQueue('', { exclusive: true });
  });
});
