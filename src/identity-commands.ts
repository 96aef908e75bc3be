import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { dataDirIn, dataDirOf, onDataDir } from './command-options.js';
import { IDENTITY_FILE, OVERLAY_FOLDER } from './data-dir.js';

const STANDARD_INPUT = '-';

/** Adds the commands for a node's key, which its peer id and all that it owns follow from. */
export function addIdentityCommands(program: Command): void {
  const identity = program.command('identity').description("the node's key, which owns its spaces");
  onDataDir(identity, 'show', 'prints the peer id').action(async (options) => {
    const { identityIn } = await import('./dht-space/index.js');
    console.log(await identityIn(await identityFileOf(options)));
  });
  onDataDir(identity, 'export', 'prints the private key as PEM (PKCS #8)')
    .option('--output <file>', 'writes it to a new file instead, which only its owner can read')
    .action(async (options) => {
      const { exportIdentity } = await import('./dht-space/index.js');
      const pem = await exportIdentity(await identityFileOf(options));
      const { output } = options as { output?: string };
      if (output === undefined) process.stdout.write(pem);
      else await writeFile(output, pem, { flag: 'wx', mode: 0o600 });
    });
  onDataDir(
    identity,
    'import <file>',
    `makes the key in a file ('${STANDARD_INPUT}': standard input) that of a stopped node`,
  )
    .option('--force', 'also when the node has another key, which is kept beside it')
    .action(async (file: string, options) => {
      const { importIdentity } = await import('./dht-space/index.js');
      const pem = await (file === STANDARD_INPUT ? text(process.stdin) : readFile(file, 'utf8'));
      // Restoring a node may well begin with its key.
      const dataDir = dataDirOf(options);
      const files = {
        identityFile: join(dataDir, IDENTITY_FILE),
        storeFolder: join(dataDir, OVERLAY_FOLDER),
      };
      const { force = false } = options as { force?: boolean };
      const { peerId, replaced } = await importIdentity(files, pem, { force });
      if (replaced !== undefined) console.error(`the key that was there is kept as '${replaced}'`);
      console.log(peerId);
    });
}

async function identityFileOf(options: unknown): Promise<string> {
  return join(await dataDirIn(options), IDENTITY_FILE);
}
