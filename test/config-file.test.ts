import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readConfigFile } from '../src/config-file.js';
import { ConfigError, SETTINGS } from '../src/settings.js';
import { teardown } from './support/teardown.js';

const MIB = 1_048_576;

let path: string;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'xspace-config-'));
  teardown(() => rm(folder, { recursive: true }));
  path = join(folder, 'node.yaml');
});

async function read(text: string) {
  await writeFile(path, text);
  return readConfigFile(path);
}

async function problemsOf(text: string): Promise<string> {
  const error = await read(text).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).message.replaceAll(path, 'FILE');
}

describe('a configuration file', () => {
  it('gives each setting under the name of its flag, as text, number, boolean or list', async () => {
    const lines = Object.keys(SETTINGS).map(
      (name) => `${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}: "${name}"`,
    );
    const expected = Object.entries(SETTINGS).map(([name, kind]) => [name, kind === 'list' ? [name] : name]);
    expect(await read(lines.join('\n'))).toEqual(Object.fromEntries(expected));
    const text = `
# The node of ACME.
name: acme
amqp-listen: [127.0.0.1:5672, '[::1]:5672']
overlay-listen:
  - /ip4/0.0.0.0/tcp/4672
seeds: [192.0.2.1:4672, 192.0.2.2:4672]
amqps-listen: 0.0.0.0:5671,0.0.0.0:5672
management-listen: off
memory-limit: 40%
disk-limit: 50000000
relay: true
`;
    expect(await read(text)).toEqual({
      name: 'acme',
      amqpListen: ['127.0.0.1:5672', '[::1]:5672'],
      overlayListen: ['/ip4/0.0.0.0/tcp/4672'],
      seeds: '192.0.2.1:4672,192.0.2.2:4672',
      amqpsListen: ['0.0.0.0:5671', '0.0.0.0:5672'],
      managementListen: 'off',
      memoryLimit: '40%',
      diskLimit: '50000000',
      relay: 'true',
    });
  });

  it('may be empty', async () => {
    expect([await read(''), await read('# nothing\n')]).toEqual([{}, {}]);
  });

  it('is refused with all that is wrong in it, by line', async () => {
    const text =
      'name: acme\namqpListen: 127.0.0.1:5672\nsync:\nseeds: {a: b}\nconfig: other.yaml\n7: x\n[1]: x\n';
    expect((await problemsOf(text)).split('\n')).toEqual([
      "FILE:2: 'amqpListen' is no setting",
      'FILE:3: sync: expected text, found nothing',
      'FILE:4: seeds: expected text, or a list of texts, found a map',
      "FILE:5: 'config' is no setting",
      "FILE:6: '7' is no setting",
      "FILE:7: '' is no setting",
    ]);
  });

  it.each([
    ['a list', '- name', 'FILE: expected settings as key: value'],
    ['a text', 'name', 'FILE: expected settings as key: value'],
    ['a key twice', 'name: a\nname: b', 'FILE:2: Map keys must be unique'],
    ['what is no YAML', 'name: "a', 'FILE:1: Missing closing "quote'],
    ['two documents', 'name: a\n---\nname: b', 'FILE:2: Source contains multiple documents'],
  ])('is refused as %s', async (_, text, problem) => {
    expect(await problemsOf(text)).toContain(problem);
  });

  it('is refused where it cannot be read, or is larger than any configuration', async () => {
    await expect(readConfigFile(path)).rejects.toThrow(`config: '${path}' cannot be read: ENOENT`);
    await expect(readConfigFile(tmpdir())).rejects.toThrow(`config: '${tmpdir()}' cannot be read: EISDIR`);
    expect(await problemsOf('#'.repeat(MIB + 1))).toContain('more than 1048576 bytes');
  });

  it('may repeat itself by aliases, which are never multiplied', async () => {
    expect(await read('amqp-listen: [&all 127.0.0.1:1]\namqps-listen: *all\n')).toEqual({
      amqpListen: ['127.0.0.1:1'],
      amqpsListen: ['127.0.0.1:1'],
    });
    const levels = Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`);
    const text = ['a0: &a0 x', ...levels, 'seeds: *a40'].join('\n');
    expect(await problemsOf(text)).toContain(
      'FILE:42: seeds: expected text, or a list of texts, found a list',
    );
  });
});
