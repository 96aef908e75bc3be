// Compiles the .proto files next to themselves. The results are not committed: they are long, and a build away.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'src', 'dht-space', 'wire');
const sources = readdirSync(folder).filter((name) => name.endsWith('.proto'));

execFileSync(
  process.execPath,
  [
    join(root, 'node_modules', 'protons', 'dist', 'bin', 'protons.js'),
    ...sources.map((name) => join(folder, name)),
  ],
  { stdio: 'inherit' },
);
for (const name of sources) {
  const file = join(folder, name.replace(/\.proto$/, '.ts'));
  // protons does not write for exactOptionalPropertyTypes; the types it exports are right all the same.
  // It asks for arrays that own their buffer where it only reads them.
  const code = readFileSync(file, 'utf8').replaceAll('Uint8Array<ArrayBuffer>', 'Uint8Array');
  writeFileSync(file, `// @ts-nocheck\n${code}`);
}
