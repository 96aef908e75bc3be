/*
 * Octets and strings as RabbitMQ's error texts have them, which are printed by Erlang: readable where all of it can be
 * read, else as numbers.
 */

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x1b, '\\e'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

/** `<<"text">>` or `<<1,2,3>>`. */
export function erlangBinary(octets: Buffer): string {
  return `<<${quoted(octets) ?? [...octets].join()}>>`;
}

/** `"text"` or `[1,2,3]`. */
export function erlangString(text: string): string {
  const octets = Buffer.from(text);
  return quoted(octets) ?? `[${[...octets].join()}]`;
}

/** Undefined where it cannot be read: Erlang takes each octet for a character of Latin-1. */
function quoted(octets: Buffer): string | undefined {
  const shown: number[] = [];
  for (const octet of octets) {
    const escaped = ESCAPES.get(octet);
    if (escaped !== undefined) shown.push(...Buffer.from(escaped));
    else if ((octet >= 0x20 && octet < 0x7f) || octet >= 0xa0) shown.push(octet);
    else return undefined;
  }
  return octets.length === 0 ? undefined : `"${Buffer.from(shown).toString()}"`;
}
