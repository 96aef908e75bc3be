import { open } from 'node:fs/promises';
import type { Document, Pair } from 'yaml';
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { RawConfig } from './settings.js';
import { ConfigError, SETTINGS } from './settings.js';

/** A larger file is no configuration. */
const MAX_CONFIG_FILE_BYTES = 1_048_576;

/**
 * The settings of a YAML file (1.2): each key is a flag of `xspace start` without its dashes, each value what the flag would be
 * given, as text, number or boolean. Settings that may be given more than once may be lists.
 *
 * @throws ConfigError naming the file, with the line and the key of each problem
 */
export async function readConfigFile(path: string): Promise<RawConfig> {
  const text = await read(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => `${path}:${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error !== undefined) throw new ConfigError([`${at(error.pos[0])}: ${error.message}`]);
  const { contents } = document;
  if (contents === null) return {};
  if (!isMap(contents)) throw new ConfigError([`${path}: expected settings as key: value`]);
  const settings: Record<string, string | readonly string[]> = {};
  const problems: string[] = [];
  for (const pair of contents.items) {
    const found = settingOf(pair, document);
    if (typeof found === 'string') problems.push(`${at(offsetOf(pair))}: ${found}`);
    else settings[found.name] = found.value;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return settings;
}

async function read(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size <= MAX_CONFIG_FILE_BYTES) return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new ConfigError([
      `config: '${path}' cannot be read: ${error instanceof Error ? error.message : error}`,
    ]);
  }
  throw new ConfigError([`config: '${path}' has more than ${MAX_CONFIG_FILE_BYTES} bytes`]);
}

/** By its name in a {@link RawConfig}; text: what is wrong with it. */
function settingOf(
  { key, value }: Pair,
  document: Document,
): { readonly name: string; readonly value: string | readonly string[] } | string {
  const flag = isScalar(key) ? String(key.value) : '';
  const name = flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const kind =
    Object.hasOwn(SETTINGS, name) && !/[A-Z]/.test(flag) ? SETTINGS[name as keyof RawConfig] : undefined;
  if (kind === undefined) return `'${flag}' is no setting`;
  const resolved = resolve(value, document);
  const given = kind !== 'text' && isSeq(resolved) ? resolved.items : [resolved];
  const texts = given.map((item) => textOf(resolve(item, document)));
  if (!texts.every((text) => text !== undefined)) {
    const expected = kind === 'text' ? 'text' : 'text, or a list of texts';
    return `${flag}: expected ${expected}, found ${describe(resolved)}`;
  }
  return { name, value: kind === 'list' ? texts.flatMap((text) => text.split(',')) : texts.join() };
}

function resolve(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return ['string', 'number', 'boolean'].includes(typeof node.value) ? String(node.value) : undefined;
}

function describe(node: unknown): string {
  if (isSeq(node)) return 'a list';
  if (isMap(node)) return 'a map';
  return isScalar(node) && node.value !== null ? String(node.value) : 'nothing';
}

function offsetOf({ key }: Pair): number {
  return isNode(key) ? (key.range?.[0] ?? 0) : 0;
}
