// Makes a clone ready to run: installs packages when they differ from package-lock.json, and compiles what changed.
//
//   node scripts/ready.mjs [tools]     tools: examples and bench too
//
// Runs before the npm scripts, so it needs nothing but Node, is fast when there is nothing to do, and leaves
// standard output alone. Several may run at once: one works, the others wait for it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = [20, 19];
const LOCK_WAIT_MS = 600_000;
const LOCK_POLL_MS = 100;

const root = fileURLToPath(new URL('..', import.meta.url));
const lockFile = join(root, 'dist', '.ready-lock');

/** What is compiled: the npm script that does it and everything its result depends on. */
const builds = [{ script: 'build', inputs: ['src', 'scripts', 'tsconfig.json', 'tsconfig.build.json'] }];
if (process.argv.includes('tools')) {
  builds.push({
    script: 'build:tools',
    inputs: ['src', 'examples', 'bench', 'fuzz', 'test/support', 'tsconfig.json', 'tsconfig.tools.json'],
  });
}

checkNode();
if (workLeft()) {
  lock();
  try {
    if (!isInstalled()) npm(['ci', '--include=dev'], 'installing packages');
    for (const build of builds.filter((one) => !isBuilt(one))) runBuild(build);
  } finally {
    unlock();
  }
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  fail(
    `xspace needs Node ${OLDEST_NODE.join('.')} or later; this is ${process.version} (${process.execPath})`,
  );
}

function workLeft() {
  return !isInstalled() || builds.some((build) => !isBuilt(build));
}

/** npm leaves a list of what it installed, written last: it agrees with the lockfile or the install is not done. */
function isInstalled() {
  const installed = packagesIn('node_modules/.package-lock.json');
  if (installed === undefined) return false;
  const wanted = packagesIn('package-lock.json') ?? fail('package-lock.json is missing');
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue; // the project itself
    if (path in installed ? installed[path].version !== version : !optional) return false;
  }
  return true;
}

function packagesIn(lockfile) {
  try {
    return JSON.parse(readFileSync(join(root, lockfile), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isBuilt({ script, inputs }) {
  try {
    return readFileSync(stampOf(script), 'utf8') === fingerprint(inputs);
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

function runBuild({ script, inputs }) {
  // Taken before compiling: what is edited meanwhile is compiled again next time.
  const before = fingerprint(inputs);
  rmSync(stampOf(script), { force: true });
  npm(['run', '--silent', script], 'compiling');
  writeFileSync(stampOf(script), before);
}

function stampOf(script) {
  return join(root, 'dist', `.${script.replace(':', '-')}-stamp`);
}

/** Names, times and sizes of the input files: changes with every edit, addition and removal. */
function fingerprint(inputs) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false });
    if (stat?.isDirectory()) for (const name of sourcesIn(path)) visit(`${path}/${name}`);
    else hash.update(`${path} ${stat?.mtimeMs} ${stat?.size}\n`);
  };
  for (const input of inputs) visit(input);
  return hash.digest('hex');
}

/** What a build generates from a .proto file beside it is a result, not a source. */
function sourcesIn(folder) {
  const names = readdirSync(join(root, folder)).sort();
  return names.filter((name) => !(name.endsWith('.ts') && names.includes(name.replace(/\.ts$/, '.proto'))));
}

function npm(args, what) {
  process.stderr.write(`xspace: ${what} (npm ${args.join(' ')})\n`);
  const cli = process.env.npm_execpath;
  const [command, first] = cli?.endsWith('.js') ? [process.execPath, [cli]] : ['npm', []];
  const { status, error } = spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`npm ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

function lock() {
  mkdirSync(join(root, 'dist'), { recursive: true });
  for (const started = Date.now(); !createLock(lockFile); sleep(LOCK_POLL_MS)) {
    if (!isRunning(readLock())) removeStaleLock();
    else if (Date.now() - started > LOCK_WAIT_MS) {
      fail(
        `process ${readLock()} has been at it for too long; if it is stuck, end it and delete ${lockFile}`,
      );
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => fail(`ended by ${signal}`));
}

/** Two may find the same dead owner: the second must not remove the lock that the first has taken since. */
function removeStaleLock() {
  const guard = `${lockFile}-removal`;
  if (!createLock(guard)) return;
  if (!isRunning(readLock())) rmSync(lockFile, { force: true });
  rmSync(guard);
}

function createLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function readLock() {
  try {
    return Number(readFileSync(lockFile, 'utf8'));
  } catch {
    return 0;
  }
}

function isRunning(pid) {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function unlock() {
  if (readLock() === process.pid) rmSync(lockFile, { force: true });
}

function fail(text) {
  unlock();
  process.stderr.write(`xspace: ${text}\n`);
  process.exit(1);
}

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
