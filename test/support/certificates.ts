import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { teardown } from './teardown.js';

/** Files in PEM. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A certificate authority of its own, in a folder that is gone after the test. Needs the tool openssl. */
export class CertificateAuthority implements Certificate {
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'xspace-certificates-'));
    teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    this.certFile = join(this.folder, 'ca.pem');
    this.keyFile = join(this.folder, 'ca.key');
    const files = ['-keyout', this.keyFile, '-out', this.certFile];
    openssl('req', '-x509', ...KEY, ...files, '-days', '2', '-subj', '/CN=authority');
  }

  get cert(): Buffer {
    return readFileSync(this.certFile);
  }

  get key(): Buffer {
    return readFileSync(this.keyFile);
  }

  /** For a server on this machine, and for a client. Several common names are joined by slashes. */
  issue(commonName: string): Certificate {
    const at = join(this.folder, `${Math.random().toString(36).slice(2)}`);
    const [certFile, keyFile] = [`${at}.pem`, `${at}.key`];
    const subject = commonName
      .split('/')
      .map((name) => `/CN=${name}`)
      .join('');
    openssl('req', '-new', ...KEY, '-keyout', keyFile, '-out', `${at}.csr`, '-subj', subject);
    writeFileSync(`${at}.ext`, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    const by = ['-CA', this.certFile, '-CAkey', this.keyFile, '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${at}.csr`,
      '-out',
      certFile,
      ...by,
      '-days',
      '2',
      '-extfile',
      `${at}.ext`,
    );
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  }
}

/** Elliptic curves: made in no time. */
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
