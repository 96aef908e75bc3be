import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { TlsMaterial } from './amqp-gateway/index.js';
import { ConfigError } from './settings.js';

/** Paths of files in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Undefined: clients are not asked for certificates. */
  readonly ca: string | undefined;
}

type Setting = 'tls-cert' | 'tls-key' | 'tls-ca';

/** Reads and checks the files. @throws ConfigError with all that is wrong, each with the setting, the path and the cause */
export async function readTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const problems: string[] = [];
  const read = async (setting: Setting, path: string, check: (pem: Buffer) => unknown): Promise<Buffer> => {
    try {
      const pem = await readFile(path);
      check(pem);
      return pem;
    } catch (error) {
      problems.push(`${setting}: '${path}' ${causeOf(error)}`);
      return Buffer.alloc(0);
    }
  };
  const certificate = await read('tls-cert', files.cert, (pem) => new X509Certificate(pem));
  const key = await read('tls-key', files.key, checkKey);
  const clientCa =
    files.ca === undefined ? undefined : await read('tls-ca', files.ca, (pem) => new X509Certificate(pem));
  if (problems.length === 0 && !new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    problems.push(`tls-key: '${files.key}' is not the key of the certificate in '${files.cert}' (tls-cert)`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const material = { certificate, key, clientCa };
  assertUsable(material, files);
  return material;
}

/** What only OpenSSL finds, such as a key that is too short. */
function assertUsable({ certificate, key, clientCa }: TlsMaterial, files: TlsFiles): void {
  try {
    createSecureContext({ cert: certificate, key, ...(clientCa && { ca: clientCa }) });
  } catch (error) {
    throw new ConfigError([`tls-cert: '${files.cert}' ${causeOf(error)}`]);
  }
}

function checkKey(pem: Buffer): void {
  if (pem.includes('ENCRYPTED')) throw new Error('it is encrypted; expected a key without a passphrase');
  createPrivateKey(pem);
}

function causeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'may not be read';
  if (code === 'EISDIR') return 'is a directory';
  return `is not taken: ${message}`;
}
