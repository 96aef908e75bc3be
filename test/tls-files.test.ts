import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { ConfigError } from '../src/settings.js';
import { readTlsFiles } from '../src/tls-files.js';
import type { Certificate } from './support/certificates.js';
import { CertificateAuthority } from './support/certificates.js';
import { requireTools } from './support/tools.js';

requireTools('openssl')('the files of TLS', () => {
  let authority: CertificateAuthority;
  let node: Certificate;

  beforeAll(() => {
    authority = new CertificateAuthority();
    node = authority.issue('node');
  });

  async function problemsOf(files: { cert?: string; key?: string; ca?: string }): Promise<string[]> {
    try {
      await readTlsFiles({ cert: node.certFile, key: node.keyFile, ca: authority.certFile, ...files });
    } catch (error) {
      if (error instanceof ConfigError) return error.message.split('\n');
      throw error;
    }
    return [];
  }

  it('are read as they are', async () => {
    const files = { cert: node.certFile, key: node.keyFile, ca: authority.certFile };
    expect(await readTlsFiles(files)).toEqual({
      certificate: node.cert,
      key: node.key,
      clientCa: authority.cert,
    });
    expect((await readTlsFiles({ ...files, ca: undefined })).clientCa).toBeUndefined();
  });

  it('that are not there, or no files, are named with their setting', async () => {
    const missing = join(authority.folder, 'missing.pem');
    expect(await problemsOf({ cert: missing, key: authority.folder, ca: missing })).toEqual([
      `tls-cert: '${missing}' does not exist`,
      `tls-key: '${authority.folder}' is a directory`,
      `tls-ca: '${missing}' does not exist`,
    ]);
  });

  it('that have something else in them are named with their setting', async () => {
    const problems = await problemsOf({ cert: node.keyFile, key: node.certFile, ca: node.keyFile });
    expect(problems.map((problem) => problem.replaceAll(authority.folder, ''))).toEqual([
      expect.stringMatching(/^tls-cert: '.*\.key' is not taken: /),
      expect.stringMatching(/^tls-key: '.*\.pem' is not taken: /),
      expect.stringMatching(/^tls-ca: '.*\.key' is not taken: /),
    ]);
  });

  it('that do not belong together are named both', async () => {
    const other = authority.issue('other');
    expect(await problemsOf({ key: other.keyFile })).toEqual([
      `tls-key: '${other.keyFile}' is not the key of the certificate in '${node.certFile}' (tls-cert)`,
    ]);
  });

  it('of which the key is encrypted are refused', async () => {
    const encrypted = join(authority.folder, 'encrypted.key');
    const args = ['pkcs8', '-topk8', '-in', node.keyFile, '-out', encrypted, '-passout', 'pass:secret'];
    execFileSync('openssl', args, { stdio: 'pipe' });
    expect(await problemsOf({ key: encrypted })).toEqual([
      `tls-key: '${encrypted}' is not taken: it is encrypted; expected a key without a passphrase`,
    ]);
  });

  it('of which OpenSSL wants a longer key are refused', async () => {
    const [keyFile, certFile] = [join(authority.folder, 'short.key'), join(authority.folder, 'short.pem')];
    const key = ['-newkey', 'rsa:512', '-nodes', '-keyout', keyFile];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-subj', '/CN=short'], {
      stdio: 'pipe',
    });
    expect((await problemsOf({ cert: certFile, key: keyFile }))[0]).toMatch(/^tls-cert: .*key too small/);
  });

  it('may have a chain in them', async () => {
    const chain = join(authority.folder, 'chain.pem');
    writeFileSync(chain, Buffer.concat([node.cert, authority.cert]));
    expect(await problemsOf({ cert: chain })).toEqual([]);
  });
});
