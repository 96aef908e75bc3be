import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REFUSED_LOGIN_MS } from '../../src/amqp-gateway/limits.js';
import { parseRequest } from '../../src/control/commands.js';
import { CONTROL_TIMEOUT_MS, MAX_REQUEST_BYTES } from '../../src/control/limits.js';
import * as limits from '../../src/management/limits.js';
import { DEFAULTS } from '../../src/settings.js';

const document = readFileSync(new URL('../../docs/management.md', import.meta.url), 'utf8');

/** The commands of the table under "Requests", each with what it says of its fields. */
const documented = document
  .split('| `command` | further fields |')[1]
  ?.split('\n\n')[0]
  ?.split('\n')
  .slice(2)
  .flatMap((row) => {
    const [, commands = '', fields = ''] = row.split('|');
    return inCode(commands).map((command) => ({ command, fields }));
  });

function inCode(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

function problemOf(request: object): string {
  try {
    parseRequest(JSON.stringify(request));
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('docs/management.md', () => {
  it('names every command', () => {
    const [, all = ''] = /expected one of (.*)/.exec(problemOf({})) ?? [];
    expect(documented?.map(({ command }) => command).toSorted()).toEqual(all.split(', ').toSorted());
  });

  it.each(documented ?? [])('tells the fields of $command', ({ command, fields }) => {
    const samples = inCode(fields.replaceAll('`bearer`', '')).map((name) => {
      const value = /tags|points|rights|routingKeys/.test(name)
        ? ['x']
        : /expiresMs|delegable/.test(name)
          ? 1
          : 'x';
      return [name, value] as const;
    });
    expect(problemOf({ command, ...Object.fromEntries(samples) })).toBe('');
    // The last one is what may be left out.
    const required = fields.includes('left out') ? samples.slice(0, -1) : samples;
    for (const [name] of required) {
      const others = samples.filter(([other]) => other !== name);
      expect(problemOf({ command, ...Object.fromEntries(others) })).toContain(`${name}: expected`);
    }
    for (const [name] of samples) {
      expect(problemOf({ command, ...Object.fromEntries(samples), [name]: { not: 'it' } })).toContain(name);
    }
  });

  it.each([
    `\`${DEFAULTS.managementListen}\` by default`,
    `takes ${{ 3: 'three' }[REFUSED_LOGIN_MS / 1000]} seconds`,
    `longer than ${limits.REQUEST_TIMEOUT_MS / 1000} s to arrive`,
    `more than ${limits.MAX_HEADER_BYTES / 1024} KiB: no text`,
    `the body has more than ${MAX_REQUEST_BYTES / 1024} KiB`,
    `has not ended after ${CONTROL_TIMEOUT_MS / 1000} s`,
    `serves ${limits.MAX_MANAGEMENT_CONNECTIONS} connections at a time`,
  ])('says what holds: %s', (claim) => {
    expect(document.replaceAll(/\s+/g, ' ')).toContain(claim);
  });
});
