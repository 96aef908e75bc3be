import { Command, CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dataDirOf, managementIn, onNode } from '../src/command-options.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** How a command with these flags and variables finds its node; or the error that commander ends it with. */
function found(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const program = new Command('xspace').exitOverride().configureOutput({ writeErr: () => {} });
  let place: string | undefined;
  onNode(program, 'list', 'for a test').action((options) => {
    place = managementIn(options)?.href ?? dataDirOf(options);
  });
  try {
    program.parse(['list', ...flags], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
  return place;
}

const URL_FLAG = ['--management', 'http://admin:hunter2@node:15673'];
const URL_VARIABLE = { XSPACE_MANAGEMENT: 'http://admin:hunter2@variable:15673' };

describe('a command finds its node', () => {
  it('by one flag, or one variable', () => {
    expect(found(URL_FLAG)).toBe('http://admin:hunter2@node:15673/');
    expect(found(['--data-dir', '/data'])).toBe('/data');
    expect(found([], { XSPACE_DATA_DIR: '/variable' })).toBe('/variable');
    vi.unstubAllEnvs();
    expect(found([], URL_VARIABLE)).toBe('http://admin:hunter2@variable:15673/');
  });

  it('by its flag where a variable says something else', () => {
    expect(found(URL_FLAG, { XSPACE_DATA_DIR: '/variable', XSPACE_NAME: 'alice' })).toMatch('@node');
    vi.unstubAllEnvs();
    expect(found(['--data-dir', '/data'], URL_VARIABLE)).toBe('/data');
    expect(found(['--name', 'alice'], URL_VARIABLE)).toMatch(/\/xspace\/alice$/);
  });

  it.each([
    ['two flags', [...URL_FLAG, '--data-dir', '/data'], {}],
    ['flags for it and a name', [...URL_FLAG, '--name', 'alice'], {}],
    ['two variables', [], { ...URL_VARIABLE, XSPACE_DATA_DIR: '/variable' }],
  ])('not by %s', (_, flags, env) => {
    expect(found(flags, env)).toBe(
      "error: option '--management <url>' cannot be used with '--data-dir <path>' or '--name <name>'",
    );
  });

  it.each([
    'node:15673',
    '',
    'amqp://a:hunter2@node',
    'http://a:hunter2@node/api',
    'http://a:hunter2@node?x',
    'http://a:hunter2%@node',
    'http://',
  ])('not by the URL %j, which is not shown', (url) => {
    expect(found(['--management', url])).toBe(
      "error: option '--management <url>': expected http://user:password@host:port",
    );
  });
});
