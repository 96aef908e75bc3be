/** Octets from hexadecimal digits; white space is for the reader. */
export function octets(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s/g, ''), 'hex');
}

/** An entry of a field table which holds a table or an array with the given content. */
export function nestedEntry(name: string, type: 'F' | 'A', content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(name.length), Buffer.from(name + type), withLength(content)]);
}

/** Octets behind their length in 32 bits. */
export function withLength(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}
